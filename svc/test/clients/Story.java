// The story that every generated client has to get through, with openapi-generator's for Java.

import java.math.BigInteger;
import java.net.http.HttpClient;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.ApplicationsApi;
import org.openapitools.client.api.ConfigurationsApi;
import org.openapitools.client.api.ContentApi;
import org.openapitools.client.api.DeliveryApi;
import org.openapitools.client.model.*;

public class Story {
  interface Call {
    Object run() throws ApiException;
  }

  static void hold(boolean is, String what) {
    if (!is) throw new AssertionError(what);
  }

  static ApiException refused(Call call) {
    try {
      call.run();
    } catch (ApiException refusal) {
      return refusal;
    }
    throw new AssertionError("not refused");
  }

  static String etag(org.openapitools.client.ApiResponse<?> answer) {
    return answer.getHeaders().get("etag").get(0);
  }

  public static void main(String[] arguments) throws Exception {
    // As it is by default: it offers to go on in HTTP/2 (`Upgrade: h2c`).
    var api = new ApiClient(HttpClient.newBuilder(), ApiClient.createDefaultObjectMapper(), arguments[0]);
    var configurations = new ConfigurationsApi(api);
    var delivery = new DeliveryApi(api);
    var large = new BigInteger("12345678901234567890");

    var billing =
        new ApplicationsApi(api).createApplication(new CreateApplicationRequest().name("billing"), null);
    var wanted = new CreateConfigurationRequest().applicationId(billing.getId()).name("production");
    var created =
        configurations.createConfigurationWithHttpInfo(
            wanted.config(Map.of("currency", "EUR", "large", large)), null, null);
    hold(etag(created).equals("\"1\""), "created");
    hold(created.getData().getConfig().get("large").equals(large), "20 digits");
    var id = created.getData().getId();

    var change = new ReplaceConfigurationRequest().name("production");
    change.config(Map.of("currency", "CHF", "large", large));
    var replaced = configurations.replaceConfigurationWithHttpInfo(id, change, null, null, "\"1\"");
    hold(etag(replaced).equals("\"2\""), "replaced");
    var late = refused(() -> configurations.replaceConfiguration(id, change, null, null, "\"1\""));
    hold(late.getCode() == 412, "too late");
    var problem = ApiClient.createDefaultObjectMapper().readValue(late.getResponseBody(), Problem.class);
    hold(problem.getTitle().equals("Precondition Failed"), "a problem");

    var same = refused(() -> configurations.getConfiguration(id, null, "\"2\"", null));
    hold(same.getCode() == 304, "the same");

    var patch = new PatchConfigurationRequest().config(Map.of("new", true));
    var patched = configurations.patchConfiguration(id, patch, null, null, "\"2\"");
    hold(patched.getConfig().get("new").equals(true), "patched");

    configurations.createConfiguration(
        new CreateConfigurationRequest().applicationId(billing.getId()).name("defaults"), null, null);
    var page = configurations.listConfigurationsWithHttpInfo(1, null, billing.getId(), null);
    var link = page.getHeaders().get("link").get(0);
    var after = Pattern.compile("after=(\\w+)>; rel=\"next\"").matcher(link);
    hold(after.find(), "a next page");
    var rest =
        configurations.listConfigurationsWithHttpInfo(1, after.group(1), billing.getId(), null);
    hold(page.getData().get(0).getName().equals("production"), "the first page");
    hold(rest.getData().get(0).getName().equals("defaults"), "the second page");
    hold(rest.getHeaders().get("link") == null, "the last page");

    var layers = List.of("defaults", "production");
    var merged = delivery.getConfig("billing", layers, null, null, null, null, null);
    hold(merged.equals(Map.of("currency", "CHF", "large", large, "new", true)), "merged");
    var explained = delivery.getConfig("billing", layers, null, true, null, null, null);
    hold(explained.keySet().equals(java.util.Set.of("config", "origin")), "explained");

    var content = new ContentApi(api);
    var both = new PatchContentRequest();
    both.putConfigurationsItem("defaults", new PatchContentItem().config(Map.of("retries", 3)));
    both.putConfigurationsItem("production", new PatchContentItem().config(Map.of("retries", 5)));
    var plan = content.patchContentWithHttpInfo(billing.getId(), both, true, null, null);
    var names = plan.getData().getChanges().stream().map(one -> one.getName()).toList();
    hold(names.equals(layers), "planned");
    var done = content.patchContent(billing.getId(), both, null, "Both", etag(plan));
    hold(done.equals(plan.getData()), "done");
    var present = content.getContent(billing.getId(), null, null, null).getConfigurations();
    hold(present.get("production").getConfig().get("retries").equals(5), "present");
  }
}

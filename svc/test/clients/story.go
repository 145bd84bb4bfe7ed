// The story that every generated client has to get through, with openapi-generator's for Go.
package main

import (
	"context"
	"net/http"
	"os"
	"reflect"
	"regexp"

	"github.com/GIT_USER_ID/GIT_REPO_ID"
)

func hold(is bool, what string) {
	if !is {
		panic(what)
	}
}

func must[T any](value T, response *http.Response, err error) (T, *http.Response) {
	if err != nil {
		panic(err)
	}
	return value, response
}

func problem(err error) openapi.Problem {
	return err.(*openapi.GenericOpenAPIError).Model().(openapi.Problem)
}

func main() {
	settings := openapi.NewConfiguration()
	settings.Servers = openapi.ServerConfigurations{{URL: os.Args[1]}}
	api, ctx := openapi.NewAPIClient(settings), context.Background()
	configurations := api.ConfigurationsAPI

	billing, _ := must(api.ApplicationsAPI.CreateApplication(ctx).
		CreateApplicationRequest(*openapi.NewCreateApplicationRequest("billing")).Execute())
	wanted := openapi.NewCreateConfigurationRequest(billing.Id, "production")
	wanted.SetConfig(map[string]interface{}{"currency": "EUR"})
	created, response := must(
		configurations.CreateConfiguration(ctx).CreateConfigurationRequest(*wanted).Execute())
	hold(response.Header.Get("ETag") == `"1"`, "created")

	change := openapi.NewReplaceConfigurationRequest(
		"production", map[string]interface{}{"currency": "CHF"})
	replace := configurations.ReplaceConfiguration(ctx, created.Id).
		ReplaceConfigurationRequest(*change).IfMatch(`"1"`)
	_, response = must(replace.Execute())
	hold(response.Header.Get("ETag") == `"2"`, "replaced")
	_, response, err := replace.Execute()
	hold(response.StatusCode == 412, "too late")
	late := problem(err)
	hold(late.Title == "Precondition Failed", "a problem")

	_, response, _ = configurations.GetConfiguration(ctx, created.Id).IfNoneMatch(`"2"`).Execute()
	hold(response.StatusCode == 304, "the same")

	patch := openapi.NewPatchConfigurationRequest()
	patch.SetConfig(map[string]interface{}{"currency": nil, "new": true})
	patched, _ := must(configurations.PatchConfiguration(ctx, created.Id).
		PatchConfigurationRequest(*patch).IfMatch(`"2"`).Execute())
	merged := map[string]interface{}{"new": true}
	hold(reflect.DeepEqual(patched.Config, merged), "patched")

	invalid := openapi.NewCreateConfigurationRequest(billing.Id, " no name")
	_, _, err = configurations.CreateConfiguration(ctx).CreateConfigurationRequest(*invalid).Execute()
	hold(*problem(err).Errors[0].Pointer == "/name", "where it is wrong")

	defaults := openapi.NewCreateConfigurationRequest(billing.Id, "defaults")
	must(configurations.CreateConfiguration(ctx).CreateConfigurationRequest(*defaults).Execute())
	list := configurations.ListConfigurations(ctx).ApplicationId(billing.Id).Limit(1)
	page, response := must(list.Execute())
	after := regexp.MustCompile(`after=(\w+)>; rel="next"`).FindStringSubmatch(response.Header.Get("Link"))
	rest, response := must(list.After(after[1]).Execute())
	hold(page[0].Name == "production" && rest[0].Name == "defaults", "two pages")
	hold(response.Header.Get("Link") == "", "the last page")

	get := api.DeliveryAPI.GetConfig(ctx).Application("billing").Name([]string{"defaults", "production"})
	config, _ := must(get.Execute())
	hold(len(config) == 1 && *config["new"] == true, "merged")
	explained, _ := must(get.Explain(true).Execute())
	hold(explained["origin"] != nil, "explained")

	three, five := openapi.NewPatchContentItem(), openapi.NewPatchContentItem()
	three.SetConfig(map[string]interface{}{"retries": 3})
	five.SetConfig(map[string]interface{}{"retries": 5})
	both := openapi.NewPatchContentRequest(
		map[string]*openapi.PatchContentItem{"defaults": three, "production": five})
	changeBoth := api.ContentAPI.PatchContent(ctx, billing.Id).PatchContentRequest(*both)
	plan, response := must(changeBoth.DryRun(true).Execute())
	hold(plan.Changes[0].Name == "defaults" && plan.Changes[1].Name == "production", "planned")
	tag := response.Header.Get("ETag")
	done, _ := must(changeBoth.Note("Both").IfMatch(tag).Execute())
	hold(reflect.DeepEqual(done, plan), "done")
	present, _ := must(api.ContentAPI.GetContent(ctx, billing.Id).Execute())
	hold(present.Configurations["production"].Config["retries"] == 5.0, "present")
}

// The story that every generated client has to get through, with openapi-typescript's types and
// openapi-fetch.
import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const api = createClient<paths>({ baseUrl: process.argv[2] });

const billing = await api.POST("/api/v1/applications", { body: { name: "billing" } });
assert(billing.data);
const application_id = billing.data.id;
const created = await api.POST("/api/v1/configurations", {
  body: { application_id, name: "production", config: { currency: "EUR" } },
});
assert(created.data);
assert.equal(created.response.headers.get("ETag"), '"1"');
const path = { id: created.data.id };

const change = {
  params: { path, header: { "if-match": '"1"' } },
  body: { name: "production", config: { currency: "CHF" } },
};
const replaced = await api.PUT("/api/v1/configurations/{id}", change);
assert.equal(replaced.response.headers.get("ETag"), '"2"');
const late = await api.PUT("/api/v1/configurations/{id}", change);
assert.equal(late.response.status, 412);
assert.equal(late.error?.title, "Precondition Failed");

const same = await api.GET("/api/v1/configurations/{id}", {
  params: { path, header: { "if-none-match": '"2"' } },
});
assert.equal(same.response.status, 304);

const patched = await api.PATCH("/api/v1/configurations/{id}", {
  params: { path, header: { "if-match": '"2"' } },
  body: { config: { currency: null, new: true } },
  headers: { "Content-Type": "application/merge-patch+json" },
});
assert.deepEqual(patched.data?.config, { new: true });

const invalid = await api.POST("/api/v1/configurations", {
  body: { application_id, name: " no name" },
});
assert.equal(invalid.error?.errors?.[0]?.pointer, "/name");

await api.POST("/api/v1/configurations", { body: { application_id, name: "defaults" } });
const page = await api.GET("/api/v1/configurations", {
  params: { query: { application_id, limit: 1 } },
});
const after = page.response.headers.get("Link")?.match(/after=(\w+)>; rel="next"/)?.[1];
assert(after);
const rest = await api.GET("/api/v1/configurations", {
  params: { query: { application_id, limit: 1, after } },
});
assert.deepEqual([page.data?.[0]?.name, rest.data?.[0]?.name], ["production", "defaults"]);
assert.equal(rest.response.headers.get("Link"), null);

const query = { application: "billing", name: ["defaults", "production"] };
const merged = await api.GET("/api/v1/config", { params: { query } });
assert.deepEqual(merged.data, { new: true });
const answer = await api.GET("/api/v1/config", { params: { query: { ...query, explain: true } } });
const explained = answer.data as components["schemas"]["ExplainedConfigResponse"];
assert.equal(explained.origin["new"]?.[0]?.name, "production");

const both = {
  body: {
    configurations: {
      defaults: { config: { retries: 3 } },
      production: { config: { retries: 5 } },
    },
  },
  headers: { "Content-Type": "application/merge-patch+json" },
};
const application = { id: application_id };
const plan = await api.PATCH("/api/v1/applications/{id}/content", {
  ...both,
  params: { path: application, query: { dry_run: true } },
});
assert.deepEqual(plan.data?.changes.map((change) => change.name), ["defaults", "production"]);
const tag = plan.response.headers.get("ETag") ?? "";
const done = await api.PATCH("/api/v1/applications/{id}/content", {
  ...both,
  params: { path: application, query: { note: "Both" }, header: { "if-match": tag } },
});
assert.deepEqual(done.data, plan.data);
const present = await api.GET("/api/v1/applications/{id}/content", {
  params: { path: application },
});
assert.equal(present.data?.configurations["production"]?.config["retries"], 5);

// Where Swagger UI cannot be loaded, shows a reference of the same OpenAPI document in its place.
// It runs before anything of the page is requested from elsewhere, and asks for openapi.json only.
(() => {
  "use strict";
  const SILENCE_MS = 3000; // without a byte of Swagger UI: the network swallows what is sent
  const PATIENCE_MS = 20000; // for a slow network, from which the stylesheet has come already
  const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
  const HOME = location.origin + location.pathname.replace(/\/docs\/?$/, "");
  const STYLE = `
    :root { color-scheme: light dark; --text: #1c2430; --faint: #5a6676; --line: #dfe4ea;
      --page: #fff; --panel: #f5f7f9; --link: #0b5cad; --must: #b3261e;
      --get: #0b63b8; --post: #1b7a3d; --put: #95590a; --patch: #6b46b5; --delete: #b3261e; }
    @media (prefers-color-scheme: dark) { :root { --text: #dde3ea; --faint: #98a4b3;
      --line: #2f3844; --page: #13181f; --panel: #1b222b; --link: #74b4ff; --must: #ff8d85;
      --get: #74b4ff; --post: #66cf8d; --put: #eab35c; --patch: #bb9dff; --delete: #ff8d85; } }
    * { box-sizing: border-box; }
    html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
    body { margin: 0 auto; max-width: 78rem; background: var(--page); color: var(--text);
      font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
    a { color: var(--link); text-decoration: none; }
    a:hover { text-decoration: underline; }
    code, pre, .method { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875em; }
    p, dl, pre { margin: .5rem 0; }
    h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
    h1 small { font-size: 1rem; font-weight: normal; color: var(--faint); }
    h2 { margin: 3rem 0 1rem; font-size: 1.4rem; text-transform: capitalize; }
    h3 { margin: 0; font-size: 1.05rem; }
    h4 { margin: 1.25rem 0 .25rem; font-size: .8rem; color: var(--faint);
      text-transform: uppercase; letter-spacing: .05em; }
    nav { padding: 1rem; font-size: .875rem; }
    nav h2 { display: inline-block; margin: 0 1rem 0 0; font-size: inherit; }
    nav ul { display: none; margin: .25rem 0 1.25rem; padding: 0; list-style: none; }
    nav li { display: flex; gap: .5rem; padding: .1rem 0; }
    main { padding: 1rem 1rem 6rem; min-width: 0; }
    .note { padding: .5rem .75rem; border-radius: .5rem; background: var(--panel);
      color: var(--faint); font-size: .9rem; }
    section { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; }
    section > :last-child { margin-bottom: 0; }
    section:target { border-color: var(--link); }
    .door { display: flex; gap: .75rem; align-items: baseline; }
    .method { flex: none; font-weight: 700; color: var(--of, var(--faint)); }
    nav .method { width: 4.2em; font-size: .7rem; line-height: 1.9; }
    .get { --of: var(--get); } .post { --of: var(--post); } .put { --of: var(--put); }
    .patch { --of: var(--patch); } .delete { --of: var(--delete); }
    .curl { position: relative; }
    pre { padding: .75rem 4.5rem .75rem .75rem; border-radius: .5rem; background: var(--panel);
      white-space: pre-wrap; }
    button { position: absolute; top: .45rem; right: .45rem; padding: .2rem .6rem; font: inherit;
      font-size: .8rem; color: var(--link); background: var(--page);
      border: 1px solid var(--line); border-radius: .35rem; cursor: pointer; }
    dl > div { padding: .3rem 0; border-top: 1px solid var(--line); }
    dt code, dt b { font-weight: 600; }
    dd { margin: 0; min-width: 0; }
    dd p { margin: 0; }
    dd > dl { margin: .3rem 0 0; padding-left: .75rem; border-left: 2px solid var(--line); }
    .must, .faint { color: var(--faint); font-size: .875rem; }
    .must { color: var(--must); font-size: .8rem; }
    .good { color: var(--post); } .bad { color: var(--must); }
    details:not([open]) { display: inline-block; }
    summary { cursor: pointer; }
    @media (min-width: 40rem) {
      dl > div { display: grid; grid-template-columns: minmax(0, 14rem) minmax(0, 1fr); gap: 1rem; }
      dd dl > div { grid-template-columns: minmax(0, 11rem) minmax(0, 1fr); }
      dl.responses > div { grid-template-columns: 2.5rem minmax(0, 1fr); } }
    @media (min-width: 64rem) {
      body { display: grid; grid-template-columns: 17rem minmax(0, 1fr); }
      nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 2rem 1rem; }
      nav h2 { display: block; margin: 0; } nav ul { display: block; }
      main { padding: 2rem 2rem 6rem; } }`;
  let api;

  // All text of the document becomes text nodes: none of it is ever read as markup.
  const make = (name, given, ...children) => {
    const element = Object.assign(document.createElement(name), given);
    element.append(...children.flat(9).filter((child) => child || child === 0));
    return element;
  };
  const code = (text) => make("code", {}, text);
  const json = (value) => code(JSON.stringify(value));
  const faint = (...children) => [" ", make("span", { className: "faint" }, children)];
  const must = (is) => is && [" ", make("span", { className: "must" }, "required")];
  const inline = (text) => (text ?? "").split("`").map((part, at) => (at % 2 ? code(part) : part));
  const prose = (text) => (text ?? "").split(/\n{2,}/).filter(Boolean).map((paragraph) =>
    make("p", {}, inline(paragraph)));
  const between = (pieces, mark) => pieces.flatMap((piece, at) => (at ? [mark, piece] : [piece]));
  const rows = (className, list) =>
    list.length ? make("dl", { className }, list.map(([left, ...right]) =>
      make("div", {}, make("dt", {}, left), make("dd", {}, right)))) : null;

  const followed = (it) => !it?.$ref ? it ?? {} : followed(it.$ref.slice(2).split("/").reduce(
    (at, key) => at[decodeURIComponent(key).replace(/~1/g, "/").replace(/~0/g, "~")], api));
  const variants = (schema) => schema.anyOf ?? schema.oneOf ?? schema.allOf;
  const isMap = (schema) => typeof schema.additionalProperties === "object";

  // The type of a schema in few words, with a link to each model.
  const type = (schema) => {
    if (schema.$ref) {
      const name = schema.$ref.split("/").pop();
      return [make("a", { href: `#model-${name}` }, name)];
    }
    if ("const" in schema) return [json(schema.const)];
    if (schema.enum) return between(schema.enum.map(json), " | ");
    if (variants(schema)) return between(variants(schema).map(type), schema.allOf ? " & " : " | ");
    if (schema.type === "array") {
      const items = schema.items ?? {};
      return variants(items) || items.enum ? ["(", type(items), ")[]"] : [type(items), "[]"];
    }
    if (isMap(schema)) return ["map of ", type(schema.additionalProperties)];
    const named = [schema.type ?? "any"].flat().join(" | ");
    return [schema.format ? `${named} (${schema.format})` : named];
  };

  // What a value must keep to, beyond its type.
  const limits = (schema) => {
    const { minLength, maxLength, minItems, maxItems } = schema;
    const count = (least, most, what) =>
      most === undefined ? least && `at least ${least} ${what}`
        : least === undefined ? `at most ${most} ${what}` : `${least} to ${most} ${what}`;
    const bound = (sign, n) => n !== undefined && `${sign} ${n}`;
    const pattern = (text, what) => text && (text.length > 48
      ? make("details", {}, make("summary", {}, what), code(text)) : [`${what} `, code(text)]);
    return [
      count(minLength, maxLength, "characters"), count(minItems, maxItems, "items"),
      bound("≥", schema.minimum), bound(">", schema.exclusiveMinimum),
      bound("≤", schema.maximum), bound("<", schema.exclusiveMaximum),
      pattern(schema.pattern, "pattern"), pattern(schema.propertyNames?.pattern, "names: pattern"),
      "default" in schema && ["default ", json(schema.default)],
      ...(schema.items ? limits(schema.items) : []), ...(variants(schema) ?? []).flatMap(limits),
    ].filter(Boolean);
  };
  const typed = (schema) => [type(schema),
    limits(schema).length > 0 && faint(between(limits(schema), " · "))];
  const described = (schema, description) => [
    typed(schema), prose(description),
    schema.examples && make("p", {}, "For example ", between(schema.examples.map(json), ", ")),
    fields(schema.type === "array" ? schema.items ?? {} : schema),
  ];
  const field = (name, required, schema, description, place) =>
    [[code(name), place && faint(place), must(required)], described(schema, description)];
  const fields = (schema) => rows("", Object.entries(schema.properties ?? {}).map(([name, one]) =>
    field(name, schema.required?.includes(name), one, one.description)));

  // A value that a schema allows: its example, that of a model's member with the same pattern, or
  // one that is made of the members that must be there and those that are models themselves.
  const sample = (schema, name, depth = 0) => {
    const members = Object.values(api.components?.schemas ?? {}).flatMap((model) =>
      Object.values(model.properties ?? {}));
    const alike = schema.pattern && members.find((one) =>
      one.pattern === schema.pattern && one.examples);
    const given = [schema.example, schema.examples?.[0], schema.const, schema.enum?.[0],
      alike?.examples[0]].find((value) => value !== undefined);
    if (given !== undefined || depth > 8) return given ?? null;
    const inner = (one, of = name) => sample(one, of, depth + 1);
    if (schema.$ref) return inner(followed(schema));
    if (variants(schema)) return inner(variants(schema)[0]);
    if (schema.type === "array") return [inner(schema.items ?? {})];
    if (schema.type === "object") return Object.fromEntries(
      Object.entries(schema.properties ?? {})
        .filter(([key, one]) => schema.required?.includes(key) || one.$ref)
        .map(([key, one]) => [key, inner(one, key)]));
    if (schema.type === "boolean") return true;
    if (/integer|number/.test(schema.type)) return schema.default ?? schema.minimum ?? 1;
    return schema.default || name;
  };
  const told = (holder, name) => holder.example
    ?? followed(Object.values(holder.examples ?? {})[0]).value ?? sample(holder.schema ?? {}, name);

  const curl = (method, path, { parameters, body, security }) => {
    const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;
    const of = (place) => parameters.filter((one) => one.in === place && one.required)
      .map((one) => [one.name, [told(one, one.name)].flat().join(",")]);
    const inPath = new Map(of("path"));
    const query = new URLSearchParams(of("query")).toString();
    const url = HOME + path.replace(/{([^}]+)}/g, (_, name) =>
      encodeURIComponent(inPath.get(name) ?? name)) + (query && `?${query}`);
    const [media, content] = Object.entries(body.content ?? {})[0] ?? [];
    return [
      "curl", method !== "get" && `-X ${method.toUpperCase()}`, quoted(url),
      security.length > 0 && '-H "Authorization: Bearer $TOKEN"',
      ...of("header").map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
      media && `-H ${quoted(`Content-Type: ${media}`)}`,
      media && `-d ${quoted(JSON.stringify(told(content, "body")))}`,
    ].filter(Boolean).join(" ");
  };
  const copyable = (text) => {
    const line = code(text);
    // The clipboard's own interface is missing where a page came over plain HTTP.
    const onclick = ({ target }) => {
      getSelection().selectAllChildren(line);
      target.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    };
    return make("div", { className: "curl" }, make("pre", {}, line),
      make("button", { type: "button", onclick }, "Copy"));
  };

  const contents = (content) => between(Object.entries(content ?? {}).map(([media, one]) =>
    [type(one.schema ?? {}), faint(media)]), ", ");
  const anchor = (method, path) => `${method}-${path}`.replace(/[^\w]+/g, "-");
  const badge = (method) => make("span", { className: `method ${method}` }, method.toUpperCase());
  const titled = (title, content) => content && [make("h4", {}, title), content];

  const operation = ({ path, method, shared, told: it }) => {
    const parameters = [...(shared ?? []), ...(it.parameters ?? [])].map(followed);
    const body = followed(it.requestBody);
    const ways = it.security ?? api.security ?? [];
    // An empty one among them: no token is needed.
    const security = ways.some((one) => Object.keys(one).length === 0) ? [] : ways;
    return make("section", { id: anchor(method, path) },
      make("h3", { className: "door" }, badge(method), code(path)),
      make("p", {}, make("b", {}, it.summary), it.deprecated && " (deprecated)"),
      prose(it.description),
      security.length > 0 && make("p", {}, "Needs ", between(
        security.map((one) => Object.keys(one).map(code)), " or ")),
      copyable(curl(method, path, { parameters, body, security })),
      titled("Parameters", rows("", parameters.map((one) =>
        field(one.name, one.required, one.schema ?? {}, one.description, one.in)))),
      titled("Request body", body.content && make("div", {}, contents(body.content),
        must(body.required), prose(body.description))),
      titled("Responses", rows("responses", Object.entries(it.responses ?? {}).sort().map(
        ([status, given]) => {
          const { description, content } = followed(given);
          const className = status < "400" ? "good" : "bad";
          return [make("b", { className }, status), inline(description),
            content && [" — ", contents(content)]];
        }))));
  };
  const model = ([name, schema]) => make("section", { id: `model-${name}` },
    make("h3", {}, code(name)), prose(schema.description),
    schema.properties ? fields(schema) : variants(schema)
      ? make("ul", {}, variants(schema).map((one) => make("li", {}, typed(one))))
      : described(schema),
    schema.additionalProperties === false && make("p", {}, "It has no other members."));

  const reference = () => {
    const groups = new Map();
    for (const [path, item] of Object.entries(api.paths ?? {})) {
      for (const method of METHODS.filter((one) => item[one])) {
        const tag = item[method].tags?.[0] ?? "operations";
        const one = { path, method, shared: item.parameters, told: item[method] };
        groups.set(tag, [...(groups.get(tag) ?? []), one]);
      }
    }
    const models = Object.entries(api.components?.schemas ?? {});
    const schemes = Object.entries(api.components?.securitySchemes ?? {});
    const part = (title, id, links) => [
      make("h2", {}, make("a", { href: `#${id}` }, title)),
      make("ul", {}, links.map((link) => make("li", {}, link)))];
    return [
      make("nav", {},
        [...groups].map(([tag, list]) => part(tag, `tag-${tag}`, list.map((one) =>
          [badge(one.method), make("a", { href: `#${anchor(one.method, one.path)}` },
            one.told.summary ?? one.path)]))),
        part("Models", "models", models.map(([name]) =>
          make("a", { href: `#model-${name}` }, name)))),
      make("main", {},
        make("h1", {}, api.info.title, " ", make("small", {}, api.info.version)),
        make("p", {}, api.info.summary), prose(api.info.description),
        make("p", { className: "note" }, "Swagger UI cannot be reached from here: this is a plain ",
          "reference, made from the same ", make("a", { href: `${HOME}/openapi.json` },
            "OpenAPI document"), "."),
        schemes.map(([name, one]) => make("p", {}, "Access by ", code(name), ": ",
          [one.type, one.scheme, one.in, one.name].filter(Boolean).join(" "), ". ",
          one.description)),
        [...groups].map(([tag, list]) =>
          [make("h2", { id: `tag-${tag}` }, tag), list.map(operation)]),
        make("h2", { id: "models" }, "Models"), models.map(model)),
    ];
  };

  const show = async () => {
    let shown;
    try {
      const answer = await fetch(`${HOME}/openapi.json`);
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      api = await answer.json();
      shown = reference();
    } catch (error) {
      shown = make("main", {}, make("p", {}, `openapi.json cannot be shown: ${error.message}.`));
    }
    const viewport = { name: "viewport", content: "width=device-width, initial-scale=1" };
    document.documentElement.lang = "en";
    document.head.replaceChildren(make("title", {}, api?.info?.title ?? document.title),
      make("meta", viewport), make("style", {}, STYLE));
    document.body = make("body", {}, shown);
    document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  };

  let arrived = false;
  let given = false;
  const missing = () => !window.SwaggerUIBundle;
  const giveUp = () => {
    if (given) return;
    given = true;
    // The rest of the page may still be parsed, into what is no longer shown and runs no script.
    document.querySelectorAll("link, body").forEach((one) => one.remove());
    show();
  };
  const endWaiting = () => {
    if (given) return;
    window.stop(); // what is awaited keeps the page from being parsed and shown
    giveUp();
  };
  const ofSwagger = ({ target }) => target.matches?.("script[src], link[rel=stylesheet]");
  document.addEventListener("error", (event) => ofSwagger(event) && giveUp(), true);
  document.addEventListener("load", (event) => {
    arrived ||= ofSwagger(event);
    // Something else than Swagger UI: the page of a proxy, perhaps.
    if (event.target.matches?.("script[src]") && missing()) giveUp();
  }, true);
  setTimeout(() => !arrived && missing() && endWaiting(), SILENCE_MS);
  setTimeout(() => missing() && endWaiting(), PATIENCE_MS);
})();

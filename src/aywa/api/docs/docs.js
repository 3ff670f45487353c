// Renders /openapi.json: operations with their parameters, bodies, answers, and a request to copy. No dependency.

const DEPTH_MAX = 5;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function resolve(schema, description) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.slice(2).split("/").reduce((node, name) => node[name], description);
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  const type = [schema.type ?? "anything"].flat().filter((one) => one !== "null").join(" or ");
  return schema.items ? `array of ${typeOf(schema.items)}` : type;
}

function limits(schema) {
  const said = [];
  if (schema.enum) said.push(schema.enum.filter((one) => one !== null).join(" · "));
  if (schema.minimum !== undefined || schema.maximum !== undefined) said.push(`${schema.minimum ?? ""}–${schema.maximum ?? ""}`);
  if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join("; ");
}

function fields(schema, description, depth = 0) {
  const whole = resolve(schema, description);
  const inner = whole.items ? resolve(whole.items, description) : whole;
  if (!inner.properties || depth > DEPTH_MAX) return null;
  const rows = Object.entries(inner.properties).map(([name, property]) => {
    const more = fields(property, description, depth + 1);
    const label = make("code", { textContent: name + (inner.required?.includes(name) ? " *" : "") });
    const about = make("td", { textContent: property.description ?? limits(resolve(property, description)) });
    if (more) about.append(make("details", {}, make("summary", { textContent: "fields" }), more));
    return make("tr", {}, make("td", {}, label), make("td", { textContent: typeOf(property) }), about);
  });
  return make("table", {}, make("tbody", {}, ...rows));
}

function section(title, ...content) {
  return content.some((child) => child !== null) ? make("div", {}, make("h4", { textContent: title }), ...content) : null;
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map((one) => make("tr", {},
    make("td", {}, make("code", { textContent: one.name + (one.required ? " *" : "") })),
    make("td", { textContent: `${one.in}, ${typeOf(one.schema)}` }),
    make("td", { textContent: [one.description, limits(one.schema)].filter(Boolean).join(" ") })));
  return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : null;
}

function copyable(method, path, operation, example) {
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}"${location.origin}${path}"`];
  if (operation.security?.length) lines.push('  -H "Authorization: Bearer $AYWA_API_KEY"');
  if (example) lines.push('  -H "Content-Type: application/json"', `  -d '${JSON.stringify(example).replaceAll("'", "'\\''")}'`);
  return make("pre", { textContent: lines.join(" \\\n") });
}

function article(method, path, operation, description) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const example = body && resolve(body, description).example;
  const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) => {
    const schema = answer.content?.["application/json"]?.schema;
    const table = Number(status) < 300 && schema ? fields(schema, description) : null;
    const line = `${status} ${answer.description ?? ""}${schema ? ` (${typeOf(schema)})` : ""}`;
    return table ? make("details", {}, make("summary", { textContent: line }), table) : make("div", { textContent: line });
  });
  const heading = make("h3", {}, make("span", { className: "method", textContent: method.toUpperCase() }), make("code", { textContent: path }));
  return make("article", { id: operation.operationId },
    heading,
    make("p", { textContent: [operation.summary, operation.description].filter(Boolean).join(". ") }),
    section("Request", copyable(method, path, operation, example)),
    section("Parameters", parameters(operation)),
    section("Body", body ? fields(body, description) : null),
    section("Answers", ...answers));
}

async function show() {
  const response = await fetch("/openapi.json");
  const description = await response.json();
  document.getElementById("title").textContent = `${description.info.title} API ${description.info.version}`;
  document.getElementById("about").textContent = description.info.description;
  const groups = new Map();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? "Other";
      groups.set(tag, [...(groups.get(tag) ?? []), { method, path, operation }]);
    }
  }
  for (const [tag, operations] of groups) {
    document.getElementById("contents").append(make("h2", { textContent: tag }), ...operations.map(({ operation }) =>
      make("a", { href: `#${operation.operationId}`, textContent: operation.summary })));
    document.getElementById("operations").append(...operations.map(({ method, path, operation }) =>
      article(method, path, operation, description)));
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

show().catch((error) => {
  document.getElementById("about").textContent = `The description could not be read: ${error.message}`;
});

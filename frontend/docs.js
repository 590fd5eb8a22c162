// The routes of this server as a page, out of its OpenAPI document; all text is set as text.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function typeOf(schema = {}) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((type) => type !== "null").join(" | ");
  if (schema.type === "array") return `array of ${typeOf(schema.items)}`;
  return schema.type ?? "any";
}

function table(rows) {
  const made = document.createElement("table");
  for (const [name, type, note] of rows) {
    const row = made.insertRow();
    row.append(element("td", name), element("td", type), element("td", note));
  }
  return made;
}

function route(method, path, operation) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.append(element("span", method.toUpperCase(), "method"), element("code", path));
  const body = document.createElement("div");
  if (operation.description) body.append(element("p", operation.description));
  const parameters = (operation.parameters ?? []).map((each) => [each.name, typeOf(each.schema), each.in]);
  const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  const required = new Set(schema?.required ?? []);
  for (const [name, field] of Object.entries(schema?.properties ?? {})) {
    parameters.push([name, typeOf(field), required.has(name) ? "body, required" : "body"]);
  }
  if (parameters.length) body.append(table(parameters));
  details.append(summary, body);
  return details;
}

function draw(spec) {
  const groups = new Map();
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((each) => operations[each])) {
      const group = operations[method].tags?.[0] ?? "other";
      groups.set(group, [...(groups.get(group) ?? []), route(method, path, operations[method])]);
    }
  }
  const nodes = [...groups].flatMap(([name, routes]) => [element("h2", name), ...routes]);
  document.getElementById("routes").replaceChildren(...nodes);
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  draw(await answer.json());
} catch (error) {
  document.getElementById("routes").replaceChildren(
    element("p", `The routes could not be loaded (${error.message}). Reload the page.`),
  );
}

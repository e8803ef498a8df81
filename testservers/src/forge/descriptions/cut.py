#!/usr/bin/env python3
"""Cuts vendors' API descriptions down to the operations Tagline uses.

    cut.py github  api.github.com.json  github.json
    cut.py forgejo swagger.v1.json      forgejo.json
    cut.py forgejo swagger.v1.json      gitea.json
    cut.py bitbucket-cloud       openapi-typescript.d.ts  bitbucket-cloud.json
    cut.py bitbucket-data-center openapi-typescript.d.ts  bitbucket-data-center.json
    cut.py azure   DIRECTORY-OF-THE-PYTHON-CLIENT         azure-devops.json

See README.md for where the inputs come from. The result is OpenAPI 3.0 with every schema that is reached, without
descriptions and examples.
"""
import json
import re
import sys

NOISE = {"description", "example", "examples", "externalDocs", "tags", "summary", "operationId", "title", "default",
         "deprecated", "xml", "discriminator", "pattern", "minLength", "maxLength", "minimum", "maximum", "maxItems",
         "minItems", "format", "readOnly", "uniqueItems"}

OPERATIONS = {
    "github": [
        ("get", "/repos/{owner}/{repo}/pulls"), ("post", "/repos/{owner}/{repo}/pulls"),
        ("patch", "/repos/{owner}/{repo}/pulls/{pull_number}"),
        ("put", "/repos/{owner}/{repo}/pulls/{pull_number}/merge"),
        ("post", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"),
        ("post", "/repos/{owner}/{repo}/issues/{issue_number}/labels"),
        ("post", "/repos/{owner}/{repo}/issues/{issue_number}/assignees"),
        ("get", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
        ("post", "/repos/{owner}/{repo}/issues/{issue_number}/comments"),
        ("get", "/repos/{owner}/{repo}/branches/{branch}"),
        ("delete", "/repos/{owner}/{repo}/git/refs/{ref}"),
        ("get", "/orgs/{org}/installation"), ("get", "/users/{username}/installation"),
        ("post", "/app/installations/{installation_id}/access_tokens"),
    ],
    "forgejo": [
        ("get", "/repos/{owner}/{repo}/pulls"), ("post", "/repos/{owner}/{repo}/pulls"),
        ("patch", "/repos/{owner}/{repo}/pulls/{index}"),
        ("post", "/repos/{owner}/{repo}/pulls/{index}/merge"),
        ("post", "/repos/{owner}/{repo}/pulls/{index}/requested_reviewers"),
        ("post", "/repos/{owner}/{repo}/issues/{index}/labels"),
        ("get", "/repos/{owner}/{repo}/issues/{index}/comments"),
        ("post", "/repos/{owner}/{repo}/issues/{index}/comments"),
        ("get", "/repos/{owner}/{repo}/labels"), ("post", "/repos/{owner}/{repo}/labels"),
        ("get", "/orgs/{org}/labels"),
        ("get", "/repos/{owner}/{repo}/branches/{branch}"), ("delete", "/repos/{owner}/{repo}/branches/{branch}"),
    ],
    "bitbucket-cloud": [
        ("get", "/repositories/{workspace}/{repo_slug}/pullrequests"),
        ("post", "/repositories/{workspace}/{repo_slug}/pullrequests"),
        ("get", "/repositories/{workspace}/{repo_slug}/pullrequests/{pull_request_id}"),
        ("put", "/repositories/{workspace}/{repo_slug}/pullrequests/{pull_request_id}"),
        ("post", "/repositories/{workspace}/{repo_slug}/pullrequests/{pull_request_id}/decline"),
        ("get", "/repositories/{workspace}/{repo_slug}/pullrequests/{pull_request_id}/comments"),
        ("post", "/repositories/{workspace}/{repo_slug}/pullrequests/{pull_request_id}/comments"),
        ("get", "/repositories/{workspace}/{repo_slug}/refs/branches/{name}"),
        ("delete", "/repositories/{workspace}/{repo_slug}/refs/branches/{name}"),
    ],
    "bitbucket-data-center": [
        (m, "/api/latest/projects/{projectKey}/repos/{repositorySlug}" + p) for m, p in [
            ("get", "/pull-requests"), ("post", "/pull-requests"), ("get", "/pull-requests/{pullRequestId}"),
            ("put", "/pull-requests/{pullRequestId}"), ("post", "/pull-requests/{pullRequestId}/decline"),
            ("post", "/pull-requests/{pullRequestId}/merge"), ("get", "/pull-requests/{pullRequestId}/activities"),
            ("post", "/pull-requests/{pullRequestId}/comments"), ("get", "/branches")]
    ] + [("delete", "/branch-utils/latest/projects/{projectKey}/repos/{repositorySlug}/branches")],
}


def clean(node, is_map=False):
    """Without noise; `is_map`: the keys are names, not keywords."""
    if isinstance(node, dict):
        out = {}
        for key, value in node.items():
            if not is_map and (key in NOISE or key.startswith("x-")):
                continue
            out[key] = clean(value, is_map=not is_map and key in ("properties", "schemas"))
        return out
    if isinstance(node, list):
        return [clean(item) for item in node]
    return node


def reached(roots, lookup):
    """Every schema that the operations refer to, by name."""
    schemas, queue = {}, [roots]
    while queue:
        for name in set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(queue.pop()))):
            if name not in schemas:
                schemas[name] = lookup(name)
                queue.append(schemas[name])
    return dict(sorted(schemas.items()))


def json_of(content):
    for kind, media in (content or {}).items():
        if "json" in kind:
            return media.get("schema", {})
    return None


def openapi3(path, kind):
    source = json.load(open(path))

    def resolve(node):
        while isinstance(node, dict) and "$ref" in node and not node["$ref"].startswith("#/components/schemas/"):
            target = source
            for part in node["$ref"][2:].split("/"):
                target = target[part]
            node = target
        return node

    paths = {}
    for method, template in OPERATIONS[kind]:
        item = source["paths"][template]
        operation = item[method]
        parameters = [resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
        out = {"parameters": [{k: p[k] for k in ("name", "in", "required", "schema") if k in p} for p in parameters]}
        if "requestBody" in operation:
            body = resolve(operation["requestBody"])
            out["requestBody"] = {"required": body.get("required", False), "schema": json_of(body["content"])}
        out["responses"] = {code: {"schema": json_of(resolve(r).get("content"))}
                            for code, r in operation["responses"].items() if code.startswith("2")}
        paths.setdefault(template, {})[method] = out
    paths = clean(paths)
    return source["info"]["version"], paths, reached(paths, lambda n: clean(source["components"]["schemas"][n]))


def swagger2(path, kind):
    source = json.load(open(path))

    def up(node):
        return json.loads(json.dumps(node).replace("#/definitions/", "#/components/schemas/"))

    paths = {}
    for method, template in OPERATIONS[kind]:
        operation, out = source["paths"][template][method], {"parameters": []}
        for p in operation.get("parameters", []):
            if p["in"] == "body":
                out["requestBody"] = {"required": p.get("required", False), "schema": up(p["schema"])}
            else:
                schema = {k: p[k] for k in ("type", "enum", "items") if k in p}
                out["parameters"].append({"name": p["name"], "in": p["in"], "required": p.get("required", False),
                                          "schema": schema})
        out["responses"] = {}
        for code, response in operation["responses"].items():
            if "$ref" in response:
                response = source["responses"][response["$ref"].rsplit("/", 1)[1]]
            if code.startswith("2"):
                out["responses"][code] = {"schema": up(response.get("schema"))}
        paths.setdefault(template, {})[method] = out
    paths = clean(paths)
    return source["info"]["version"], paths, reached(paths, lambda n: clean(up(source["definitions"][n])))


class TypeScript:
    """Reads back the types that openapi-typescript 7 makes of an OpenAPI description."""

    TOKEN = re.compile(r'\s*(/\*.*?\*/|//[^\n]*|"(?:[^"\\]|\\.)*"|[A-Za-z_$][\w$]*|-?\d+(?:\.\d+)?|.)', re.S)

    def __init__(self, text):
        self.tokens = [t for t in self.TOKEN.findall(text) if not t.startswith(("/*", "//")) and t.strip()]
        self.at = 0

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self, expected=None):
        token = self.peek()
        if expected and token != expected:
            raise SyntaxError(f"expected {expected}, got {self.tokens[self.at - 5:self.at + 5]}")
        self.at += 1
        return token

    def type(self):
        if self.peek() == "|":
            self.take()
        options = [self.intersection()]
        while self.peek() == "|":
            self.take()
            options.append(self.intersection())
        if len(options) == 1:
            return options[0]
        nullable = {"const": None} in options
        options = [o for o in options if o != {"const": None}]
        if all("const" in o for o in options):
            schema = {"type": "string", "enum": [o["const"] for o in options]}
        else:
            schema = options[0] if len(options) == 1 else {"anyOf": options}
        return {**schema, "nullable": True} if nullable else schema

    def intersection(self):
        parts = [self.postfix()]
        while self.peek() == "&":
            self.take()
            parts.append(self.postfix())
        parts = [p for p in parts if p != {"type": "object"}] or parts[:1]
        return parts[0] if len(parts) == 1 else {"allOf": parts}

    def postfix(self):
        if self.peek() == "readonly":
            self.take()
        schema = self.primary()
        while self.peek() == "[":
            self.take()
            if self.peek() == "]":
                self.take()
                schema = {"type": "array", "items": self.reference(schema)}
            else:  # components["schemas"]["X"]
                key = json.loads(self.take())
                self.take("]")
                schema = {"path": schema["path"] + [key]}
        return self.reference(schema)

    @staticmethod
    def reference(schema):
        if schema.get("path", [""])[0] != "components":
            return schema
        return {"$ref": f"#/components/schemas/{schema['path'][-1]}"}

    def primary(self):
        token = self.take()
        if token == "{":
            return self.object()
        if token == "(":
            schema = self.type()
            self.take(")")
            return schema
        if token.startswith('"'):
            return {"const": json.loads(token)}
        if token in ("string", "number", "boolean"):
            return {"type": token}
        if token in ("null",):
            return {"const": None}
        if token in ("unknown", "never", "undefined"):
            return {"never": True} if token == "never" else {}
        if token in ("true", "false"):
            return {"type": "boolean"}
        if re.match(r"-?\d", token):
            return {"const": json.loads(token)}
        if token in ("Readonly", "Record", "Omit"):
            self.take("<")
            first = self.type()
            while self.peek() == ",":
                self.take()
                self.type()
            self.take(">")
            if token == "Record":
                return {"type": "object"}
            return {"omit": first} if token == "Omit" else first
        return {"path": [token]}

    def object(self):
        properties, required, additional = {}, [], None
        while self.peek() != "}":
            if self.peek() == "readonly":
                self.take()
            if self.peek() == "[":
                while self.take() != "]":
                    pass
                self.take(":")
                additional = self.type()
            else:
                token = self.take()
                name = json.loads(token) if token.startswith('"') else token
                optional = self.peek() == "?"
                if optional:
                    self.take()
                self.take(":")
                schema = self.type()
                if schema != {"never": True}:
                    properties[name] = schema
                    if not optional:
                        required.append(name)
            if self.peek() in (";", ","):
                self.take()
        self.take("}")
        schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if additional is not None:
            schema["additionalProperties"] = additional
        return schema


def declaration(text, interface, name):
    """The type of `name` in `export interface …` or in its `schemas`."""
    start = text.index(f"export interface {interface} ")
    end = text.find("\nexport ", start + 1)
    quoted = name if re.fullmatch(r"\w+", name) else json.dumps(name)
    indent = 8 if interface == "components" else 4
    found = re.search(r"\n {%d}readonly " % indent + re.escape(quoted) + r"\??: ", text[start:end])
    return TypeScript(text[start + found.end():end]).type()


def without_omit(schema):
    if isinstance(schema, dict):
        # `{type: "x"} & Omit<T, "type">` only narrows the name of the kind, which no server checks.
        if "allOf" in schema:
            parts = [p["omit"] if "omit" in p else p for p in map(without_omit, schema["allOf"])]
            parts = [p for p in parts if list(p.get("properties", {"": 0})) != ["type"]]
            return parts[0] if len(parts) == 1 else {"allOf": parts}
        return {k: without_omit(v) for k, v in schema.items()}
    return [without_omit(v) for v in schema] if isinstance(schema, list) else schema


def typescript(path, kind):
    text = open(path).read()
    paths = {}
    for method, template in OPERATIONS[kind]:
        item = declaration(text, "paths", template)
        operation = item["properties"][method]
        if "path" in operation:
            operation = declaration(text, "operations", operation["path"][-1])
        operation = operation["properties"]
        parameters = []
        for place, schema in operation["parameters"]["properties"].items():
            for name, sub in schema.get("properties", {}).items():
                parameters.append({"name": name, "in": place, "required": name in schema.get("required", []),
                                   "schema": sub})
        out = {"parameters": parameters}
        if operation.get("requestBody", {}).get("properties"):
            content = operation["requestBody"]["properties"]["content"]["properties"]
            out["requestBody"] = {"required": False, "schema": content["application/json"]}
        out["responses"] = {}
        for code, response in operation["responses"]["properties"].items():
            if code.startswith("2"):
                content = response["properties"].get("content", {}).get("properties", {})
                out["responses"][code] = {"schema": next(iter(content.values()), None)}
        paths.setdefault(template, {})[method] = out
    paths = without_omit(paths)
    found = reached(paths, lambda name: without_omit(declaration(text, "components", name)))
    return "", paths, found


def azure(directory, kind):
    """The models of the Python client, which Microsoft generates from its own description."""
    models = open(f"{directory}/azure/devops/v7_0/git/models.py").read()
    client = open(f"{directory}/azure/devops/v7_0/git/git_client_base.py").read()

    def type_of(name):
        simple = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "iso-8601": "string"}
        if name in simple:
            return {"type": simple[name]}
        if name.startswith("["):
            return {"type": "array", "items": type_of(name[1:-1])}
        if name.startswith("{"):
            return {"type": "object", "additionalProperties": type_of(name[1:-1])}
        return {} if name == "object" else {"$ref": f"#/components/schemas/{name}"}

    def model(name):
        found = re.search(r"\nclass " + name + r"\(.*?_attribute_map = \{(.*?)\n    \}", models, re.S)
        if not found:
            return {"type": "object"}
        fields = re.findall(r"'key': '([^']+)', 'type': '([^']+)'", found.group(1))
        return {"type": "object", "properties": {key: type_of(kind) for key, kind in fields}}

    def query_of(function):
        body = re.search(r"    def " + function + r"\(.*?(?=\n    def )", client, re.S).group(0)
        return re.findall(r"query_parameters\['([^']+)'\]", body)

    repo = "/{project}/_apis/git/repositories/{repositoryId}"
    page = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["value"]}
    listing = lambda name: {**page, "properties": {**page["properties"], "value": type_of(f"[{name}]")}}
    operations = [
        # method, path (as the vendor's REST reference prints it), function of the client, request, response
        ("get", f"{repo}/pullRequests", "get_pull_requests", None, (200, listing("GitPullRequest"))),
        ("post", f"{repo}/pullRequests", "create_pull_request", "GitPullRequest", (201, type_of("GitPullRequest"))),
        ("get", f"{repo}/pullRequests/{{pullRequestId}}", "get_pull_request", None, (200, type_of("GitPullRequest"))),
        ("patch", f"{repo}/pullRequests/{{pullRequestId}}", "update_pull_request", "GitPullRequest",
         (200, type_of("GitPullRequest"))),
        ("get", f"{repo}/pullRequests/{{pullRequestId}}/threads", "get_threads", None,
         (200, listing("GitPullRequestCommentThread"))),
        ("post", f"{repo}/pullRequests/{{pullRequestId}}/threads", "create_thread", "GitPullRequestCommentThread",
         (200, type_of("GitPullRequestCommentThread"))),
        ("get", f"{repo}/refs", "get_refs", None, (200, listing("GitRef"))),
        ("post", f"{repo}/refs", "update_refs", "[GitRefUpdate]", (200, listing("GitRefUpdateResult"))),
    ]
    paths = {}
    for method, template, function, request, (code, response) in operations:
        names = re.findall(r"\{(\w+)\}", template)
        parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]
        parameters += [{"name": n, "in": "query", "required": False, "schema": {"type": "string"}}
                       for n in query_of(function)]
        parameters.append({"name": "api-version", "in": "query", "required": True, "schema": {"type": "string"}})
        out = {"parameters": parameters, "responses": {str(code): {"schema": response}}}
        if request:
            out["requestBody"] = {"required": True, "schema": type_of(request)}
        paths.setdefault(template, {})[method] = out
    return "7.0", paths, reached(paths, model)


def main():
    kind, source, target = sys.argv[1:]
    reader = {"github": openapi3, "forgejo": swagger2, "azure": azure}.get(kind, typescript)
    version, paths, schemas = reader(source, kind)
    description = {"version": version, "paths": paths, "components": {"schemas": schemas}}
    with open(target, "w") as out:
        json.dump(description, out, indent=1, ensure_ascii=False, sort_keys=True)
        out.write("\n")


main()

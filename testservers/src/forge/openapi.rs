//! A vendor's API description as a judge: which requests it allows, and what its answers must look like.
//!
//! Strict both ways: a field, query parameter or value that the description does not name is a fault, of our client
//! in a request, of the fake in an answer (a fake must not offer what the real forge does not).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What we do on purpose although a description does not have it: `(description, fault, reason)`. A fault is
/// excepted if it contains the text.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "gitea",
        "query base: unknown",
        "Forgejo's filter, which Gitea ignores: we look at each ourselves",
    ),
    (
        "gitea",
        "query head: unknown",
        "Forgejo's filter, which Gitea ignores: we look at each ourselves",
    ),
    (
        "gitea",
        "request.Do: unknown",
        "written `do` since 1.26, read in either case; Forgejo and older ones write `Do`",
    ),
    ("gitea", "request: missing do", "as above"),
    (
        "bitbucket-cloud",
        "query q",
        "part of every list by \"Filter and sort API objects\" of the REST reference",
    ),
    ("bitbucket-cloud", "query sort", "the same page"),
    (
        "bitbucket-cloud",
        "query page",
        "part of every list by \"Pagination\" of the REST reference (page, pagelen)",
    ),
    (
        "bitbucket-cloud",
        "request: missing type",
        "the kind of an object; the reference's own examples leave it out",
    ),
    (
        "bitbucket-cloud",
        "request.description: unknown",
        "how the text is set; the description has only the answer's `summary`",
    ),
    (
        "bitbucket-cloud",
        "request.content: missing type",
        "as above",
    ),
    (
        "bitbucket-cloud",
        "].account_id: unknown",
        "names a reviewer; `account_id` is a field of users, whom the description calls accounts",
    ),
    (
        "bitbucket-cloud",
        "]: missing type",
        "a reviewer, named by id only, as the reference's own example does",
    ),
    (
        "bitbucket-data-center",
        "].comment: unknown",
        "the activity of a comment carries it; the description has only what all activities share",
    ),
];

/// One of the files in `descriptions/`.
pub(crate) struct Description {
    name: &'static str,
    document: Value,
}

/// A request that the description knows.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    /// `post /repos/{owner}/{repo}/pulls`.
    pub(crate) operation: String,
    /// The decoded parts of the path.
    pub(crate) path: BTreeMap<String, String>,
}

impl Description {
    pub(crate) fn new(name: &'static str, text: &str) -> Self {
        Self {
            name,
            document: serde_json::from_str(text).expect("a description is JSON"),
        }
    }

    /// The operation for a method and a path, still percent-encoded.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<Matched> {
        let parts: Vec<&str> = path.split('/').collect();
        let paths = self.document["paths"].as_object()?;
        let mut found: Vec<(usize, Matched)> = Vec::new();
        for (template, item) in paths {
            let names: Vec<&str> = template.split('/').collect();
            let method = method.to_ascii_lowercase();
            // The last parameter of git refs takes slashes.
            let open_ended = template.ends_with("/git/refs/{ref}");
            if !item.get(&method).is_some_and(Value::is_object) {
                continue;
            }
            if names.len() != parts.len() && !(open_ended && parts.len() > names.len()) {
                continue;
            }
            let mut values = BTreeMap::new();
            let mut fixed = 0;
            let fits = names.iter().enumerate().all(|(index, name)| {
                let part = if open_ended && index + 1 == names.len() {
                    parts[index..].join("/")
                } else {
                    parts[index].to_owned()
                };
                let parameter = name
                    .strip_prefix('{')
                    .and_then(|name| name.strip_suffix('}'));
                if let Some(name) = parameter {
                    values.insert(name.to_owned(), decode(&part));
                    !part.is_empty()
                } else {
                    fixed += 1;
                    part == *name
                }
            });
            if fits {
                found.push((
                    fixed,
                    Matched {
                        operation: format!("{method} {template}"),
                        path: values,
                    },
                ));
            }
        }
        found
            .into_iter()
            .max_by_key(|(fixed, _)| *fixed)
            .map(|(_, matched)| matched)
    }

    fn operation(&self, matched: &Matched) -> &Value {
        let (method, template) = matched.operation.split_once(' ').expect("method and path");
        &self.document["paths"][template][method]
    }

    /// What is wrong with a request.
    pub(crate) fn check_request(
        &self,
        matched: &Matched,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let operation = self.operation(matched);
        let mut faults = Vec::new();
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let named = |place: &str, name: &str| {
            parameters
                .iter()
                .find(|it| it["in"] == place && it["name"] == name)
        };
        for (name, value) in query {
            match named("query", name) {
                Some(parameter) => self.check_text(
                    &parameter["schema"],
                    value,
                    &format!("query {name}"),
                    &mut faults,
                ),
                None => faults.push(format!("query {name}: unknown")),
            }
        }
        for parameter in parameters
            .iter()
            .filter(|it| it["in"] == "query" && it["required"] == true)
        {
            if !query
                .iter()
                .any(|(name, _)| parameter["name"] == name.as_str())
            {
                faults.push(format!("query {}: missing", parameter["name"]));
            }
        }
        for (name, value) in &matched.path {
            if let Some(parameter) = named("path", name) {
                self.check_text(
                    &parameter["schema"],
                    value,
                    &format!("path {name}"),
                    &mut faults,
                );
            }
        }
        let schema = operation.get("requestBody").filter(|body| body.is_object());
        match (schema, body) {
            (Some(schema), Some(body)) => {
                self.check(&schema["schema"], body, "request", &mut faults);
            }
            (Some(schema), None) if schema["required"] == true => {
                faults.push("request: no body".to_owned());
            }
            (None, Some(_)) => faults.push("request: a body where none belongs".to_owned()),
            _ => {}
        }
        self.without_exceptions(matched, faults)
    }

    /// An answer of the fake, filled up from the schema: required fields it does not mention get a sample.
    pub(crate) fn answer(
        &self,
        matched: &Matched,
        status: u16,
        given: Value,
    ) -> Result<Value, Vec<String>> {
        let responses = &self.operation(matched)["responses"];
        let Some(response) = responses.get(status.to_string()) else {
            return Err(vec![format!(
                "{}: answers {status}, which is not described",
                matched.operation
            )]);
        };
        let schema = &response["schema"];
        if schema.is_null() {
            return Ok(Value::Null);
        }
        let answer = self.fill(schema, given, 0);
        let mut faults = Vec::new();
        self.check(schema, &answer, "answer", &mut faults);
        let faults = self.without_exceptions(matched, faults);
        if faults.is_empty() {
            Ok(answer)
        } else {
            Err(faults)
        }
    }

    fn without_exceptions(&self, matched: &Matched, faults: Vec<String>) -> Vec<String> {
        let is_excepted = |fault: &String| {
            EXCEPTIONS.iter().any(|(name, text, reason)| {
                assert!(!reason.is_empty());
                *name == self.name && fault.contains(text)
            })
        };
        faults
            .into_iter()
            .filter(|fault| !is_excepted(fault))
            .map(|fault| format!("{} {}: {fault}", self.name, matched.operation))
            .collect()
    }

    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(name) => {
                let name = name.rsplit('/').next().unwrap_or_default();
                self.resolve(&self.document["components"]["schemas"][name])
            }
            None => schema,
        }
    }

    /// Properties, required names, and whether others are allowed, over `allOf`.
    fn shape<'s>(&'s self, schema: &'s Value) -> Shape<'s> {
        let schema = self.resolve(schema);
        let mut shape = Shape::default();
        if let Some(properties) = schema["properties"].as_object() {
            shape.closed = true;
            shape.properties.extend(
                properties
                    .iter()
                    .map(|(name, schema)| (name.as_str(), schema)),
            );
        }
        shape.required.extend(
            schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        );
        match &schema["additionalProperties"] {
            Value::Null | Value::Bool(false) => {}
            _ => shape.open = true,
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let part = self.shape(part);
            shape.properties.extend(part.properties);
            shape.required.extend(part.required);
            shape.open |= part.open;
            shape.closed |= part.closed;
        }
        shape
    }

    fn check_text(&self, schema: &Value, text: &str, at: &str, faults: &mut Vec<String>) {
        let schema = self.resolve(schema);
        let kind = schema["type"].as_str().unwrap_or_default();
        let fits = match kind {
            "integer" => text.parse::<i64>().is_ok(),
            "number" => text.parse::<f64>().is_ok(),
            "boolean" => matches!(text, "true" | "false"),
            _ => true,
        };
        if !fits {
            faults.push(format!("{at}: {text:?} is no {kind}"));
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.iter().any(|value| value == text)
        {
            faults.push(format!("{at}: {text:?} is none of {values:?}"));
        }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if schema.as_object().is_none_or(Map::is_empty) {
            return;
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if value.is_null() && (schema["nullable"] == true || kinds.contains(&"null")) {
            return;
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            faults.push(format!("{at}: {value} is none of {values:?}"));
            return;
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(options) = schema[choice].as_array() {
                let tried: Vec<Vec<String>> = options
                    .iter()
                    .map(|option| {
                        let mut faults = Vec::new();
                        self.check(option, value, at, &mut faults);
                        faults
                    })
                    .collect();
                if tried.iter().all(|faults| !faults.is_empty()) {
                    faults.extend(tried.into_iter().next().unwrap_or_default());
                }
            }
        }
        let actual = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_number = actual == "integer" && kinds.contains(&"number");
        if !(kinds.is_empty() || kinds.contains(&actual) || is_number) {
            faults.push(format!("{at}: {actual} where {kinds:?} belongs"));
            return;
        }
        match value {
            Value::Object(fields) => {
                let shape = self.shape(schema);
                for name in &shape.required {
                    if !fields.contains_key(*name) {
                        faults.push(format!("{at}: missing {name}"));
                    }
                }
                for (name, field) in fields {
                    match shape.properties.get(name.as_str()) {
                        Some(schema) => self.check(schema, field, &format!("{at}.{name}"), faults),
                        None if shape.closed && !shape.open => {
                            faults.push(format!("{at}.{name}: unknown"));
                        }
                        None => {}
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}[{index}]"), faults);
                }
            }
            _ => {}
        }
    }

    /// `given`, with a sample for every required field it lacks.
    fn fill(&self, schema: &Value, given: Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        match given {
            Value::Object(mut fields) => {
                let shape = self.shape(schema);
                for (name, schema) in &shape.properties {
                    if let Some(field) = fields.remove(*name) {
                        fields.insert((*name).to_owned(), self.fill(schema, field, depth + 1));
                    } else if shape.required.contains(name) {
                        fields.insert((*name).to_owned(), self.sample(schema, depth + 1));
                    }
                }
                Value::Object(fields)
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.fill(&schema["items"], item, depth + 1))
                .collect(),
            other => other,
        }
    }

    fn sample(&self, schema: &Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        let kinds = &schema["type"];
        let kind = kinds.as_str().or_else(|| kinds[0].as_str()).unwrap_or("");
        if schema["nullable"] == true
            || kinds
                .as_array()
                .is_some_and(|kinds| kinds.contains(&json!("null")))
        {
            return Value::Null;
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        assert!(depth < 20, "a description that requires itself: {schema}");
        let option = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0));
        match (kind, option) {
            ("string", _) => json!("sample"),
            ("integer" | "number", _) => json!(1),
            ("boolean", _) => json!(false),
            ("array", _) => json!([]),
            ("object", _) => self.fill(schema, json!({}), depth),
            (_, Some(option)) => self.sample(option, depth + 1),
            _ if schema["allOf"].is_array() => self.fill(schema, json!({}), depth),
            _ => json!({}),
        }
    }
}

#[derive(Default)]
struct Shape<'s> {
    properties: BTreeMap<&'s str, &'s Value>,
    required: Vec<&'s str>,
    open: bool,
    closed: bool,
}

pub(crate) fn decode(text: &str) -> String {
    crate::http_server::percent_decode(&text.replace('+', "%2B"))
}

/// The judge itself: what is not in a description is found.
#[test]
fn a_wrong_request_is_a_fault() {
    let description = Description::new("github", include_str!("descriptions/github.json"));
    let matched = description.find("POST", "/repos/a/b/pulls").unwrap();
    let faults = |query: &[(&str, &str)], body: Value| {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        description
            .check_request(&matched, &query, Some(&body))
            .join("\n")
    };
    assert_eq!(
        faults(&[], json!({ "head": "a", "base": "b", "draft": true })),
        ""
    );
    assert!(faults(&[], json!({ "head": "a" })).contains("missing base"));
    assert!(
        faults(&[], json!({ "head": "a", "base": "b", "labels": [] })).contains("labels: unknown")
    );
    assert!(faults(&[], json!({ "head": "a", "base": 1 })).contains("integer where"));
    assert!(
        faults(&[("x", "1")], json!({ "head": "a", "base": "b" })).contains("query x: unknown")
    );
    assert!(description.find("PUT", "/repos/a/b/pulls").is_none());
    let list = description.find("GET", "/repos/a/b/pulls").unwrap();
    let wrong =
        description.check_request(&list, &[("state".to_owned(), "opened".to_owned())], None);
    assert!(wrong[0].contains("none of"), "{wrong:?}");
    let answer = description
        .answer(&matched, 201, json!({ "number": "x" }))
        .unwrap_err();
    assert!(answer[0].contains("answer.number"), "{answer:?}");
    assert!(
        description.answer(&matched, 200, json!({})).is_err(),
        "the description says 201"
    );
}

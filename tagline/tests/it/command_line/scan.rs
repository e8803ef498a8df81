//! `tagline scan` and `tagline tags`.

use super::program::Workplace;
use serde_json::{Value, json};
use tagline_testservers::{DockerRegistry, HttpServer, Image, Response, require};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn json_is_one_object_per_image() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0", "1.1.0"], &Image::default());
    let (app, gone) = (
        format!("{}/team/app", registry.authority()),
        format!("{}/team/gone", registry.authority()),
    );
    let place = Workplace::new();
    let ended = place.run(&["scan", "--insecure", &app, &gone, "-o", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    let mut rows = lines(&ended.stdout);
    rows.sort_by_key(|row| row["image"].to_string());
    let keys: Vec<&str> = rows[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = vec![
        "image",
        "canonical",
        "tags",
        "complete",
        "revision",
        "scannedAt",
        "requests",
        "error",
    ];
    expected.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(rows[0]["image"], app);
    assert_eq!(rows[0]["tags"], 2);
    assert_eq!(rows[0]["complete"], true);
    assert_eq!(rows[0]["error"], Value::Null);
    assert!(rows[0]["requests"].as_u64().unwrap() >= 1);
    assert_eq!(rows[1]["complete"], false);
    assert_eq!(rows[1]["tags"], Value::Null);
    assert!(
        rows[1]["error"].as_str().unwrap().contains("404"),
        "{}",
        rows[1]
    );
}

#[test]
fn what_is_scanned_can_be_said_in_many_ways() {
    let registry = require!(DockerRegistry::start());
    for name in ["team/app", "team/api", "infra/tool"] {
        registry.push_tags(name, &["1.0.0"], &Image::default());
    }
    let host = registry.authority();
    let manifests = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{template: {{spec: {{containers: [{{name: a, image: {host}/team/api:1.0.0}}]}}}}}}\n"
    );
    let repositories = format!(
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {{name: tool}}\nspec: {{image: {host}/infra/tool, interval: 5m, insecure: true}}\n"
    );
    let place = Workplace::with(&[
        ("apps/deploy.yaml", &manifests),
        ("images.yaml", &repositories),
    ]);
    let scanned = |arguments: &[&str]| {
        let mut all = vec!["scan", "--insecure", "-o", "json"];
        all.extend(arguments);
        let ended = place.run(&all);
        assert_eq!(ended.code, 0, "{}", ended.shown());
        let mut names: Vec<String> = lines(&ended.stdout)
            .iter()
            .map(|row| {
                row["canonical"]
                    .as_str()
                    .unwrap()
                    .split_once('/')
                    .unwrap()
                    .1
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        scanned(&["--catalog", &host]),
        ["infra/tool", "team/api", "team/app"]
    );
    assert_eq!(
        scanned(&["--catalog", &host, "--include", "*/team/*"]),
        ["team/api", "team/app"]
    );
    assert_eq!(
        scanned(&["--catalog", &host, "--exclude", "*/team/*"]),
        ["infra/tool"]
    );
    assert_eq!(scanned(&["--catalog", &host, "--limit", "1"]).len(), 1);
    assert_eq!(scanned(&["--from-manifests", "apps"]), ["team/api"]);
    assert_eq!(scanned(&["-f", "images.yaml"]), ["infra/tool"]);
}

#[test]
fn a_table_for_people_and_tags_one_per_line() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags(
        "team/app",
        &["latest", "1.9.0", "1.10.0"],
        &Image::default(),
    );
    let image = format!("{}/team/app", registry.authority());
    let place = Workplace::new();
    let table = place.run(&["scan", "--insecure", &image]);
    let shown = table
        .shown()
        .replace(&registry.authority(), "127.0.0.1:12345");
    insta::assert_snapshot!("scan_table", shown);
    let tags = place.run(&["tags", "--insecure", &image]);
    assert_eq!(tags.stdout, "latest\n1.9.0\n1.10.0\n", "{}", tags.shown());
    let limited = place.run(&["tags", "--insecure", &image, "--limit", "1", "-o", "json"]);
    assert_eq!(limited.json()["tags"], json!(["latest"]));
    let chosen = place.run(&["select", "--image", &image, "--insecure", "--semver", "*"]);
    assert_eq!(chosen.stdout, "1.10.0\n");
}

#[test]
fn since_names_what_is_new() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0"], &Image::default());
    let image = format!("{}/team/app", registry.authority());
    let place = Workplace::new();
    let scan = [
        "scan",
        "--insecure",
        &image,
        "--storage-path",
        "store",
        "--since",
        "7d",
        "-o",
        "json",
    ];
    // Of what the first scan finds nobody knows how old it is.
    let first = place.run(&scan);
    assert_eq!(lines(&first.stdout)[0]["new"], json!([]));
    assert!(
        first.stderr.contains("1 image scanned for the first time"),
        "{}",
        first.shown()
    );
    registry.push_tags("team/app", &["1.1.0"], &Image::default());
    let second = place.run(&scan);
    let new = lines(&second.stdout)[0]["new"].clone();
    assert_eq!(new.as_array().unwrap().len(), 1, "{}", second.shown());
    assert_eq!(new[0]["tag"], "1.1.0");
    assert!(new[0]["firstSeen"].is_string());
    assert_eq!(second.stderr, "");
    let without = place.run(&["scan", &image, "--since", "7d"]);
    assert_eq!(without.code, 2);
    assert!(without.stderr.contains("--storage-path"));
}

#[test]
fn what_a_registry_does_wrong_is_told_with_what_to_do() {
    type Answer = fn() -> Response;
    let cases: [(&str, Answer); 7] = [
        ("unauthorized", || {
            Response::new(401, "").with_header("WWW-Authenticate", "Basic realm=\"x\"")
        }),
        ("forbidden", || Response::new(403, "")),
        ("not-found", || {
            Response::new(
                404,
                "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such\"}]}",
            )
        }),
        ("too-many", || {
            Response::new(429, "").with_header("Retry-After", "3600")
        }),
        ("broken", || Response::new(500, "oops")),
        ("web-page", || {
            Response::new(200, "<html>log in</html>").with_header("Content-Type", "text/html")
        }),
        ("nonsense", || Response::json("{\"tags\": 7}")),
    ];
    let place = Workplace::new();
    let mut all = String::new();
    for (name, answer) in cases {
        let server = HttpServer::start(move |request| match request.path.as_str() {
            "/v2/" => Response::json("{}"),
            _ => answer(),
        })
        .unwrap();
        let image = format!("{}/x/y", server.authority());
        let ended = place.run(&["tags", "--insecure", &image]);
        assert_eq!(ended.code, 1, "{name}: {}", ended.shown());
        all = format!(
            "{all}{name}\n  {}\n",
            ended
                .stderr
                .trim()
                .replace(&server.authority(), "127.0.0.1:12345")
        );
    }
    let refused = place.run(&["tags", "--insecure", "127.0.0.1:1/x/y"]);
    all = format!("{all}nothing listens\n  {}\n", refused.stderr.trim());
    for image in ["https://ghcr.io/org/app", "ghcr.io/org/app:1.0", "Org/App"] {
        let ended = place.run(&["tags", image]);
        assert_eq!(ended.code, 2);
        all = format!("{all}{image}\n  {}\n", ended.stderr.trim());
    }
    insta::assert_snapshot!("scan_mistakes", all);
}

#[test]
fn nothing_to_scan_is_said() {
    let registry = require!(DockerRegistry::start());
    registry.push_tags("team/app", &["1.0.0"], &Image::default());
    let host = registry.authority();
    let place = Workplace::with(&[("empty/README.md", "nothing\n")]);
    for arguments in [
        &["--catalog", &host, "--include", "*/nobody/*"][..],
        &["--from-manifests", "empty"],
    ] {
        let ended = place.run(&[&["scan", "--insecure"][..], arguments].concat());
        assert_eq!(ended.code, 0, "{}", ended.shown());
        assert!(
            ended.stderr.contains("there is nothing to scan"),
            "{}",
            ended.shown()
        );
    }
    let image = format!("{host}/team/app");
    for (arguments, words) in [
        (
            &["--from-manifests", "nowhere"][..],
            "no such file or directory",
        ),
        (&["--catalog", "a b"], "not a registry host"),
        (&[&image, "--limit", "0"], "--limit"),
        (&[&image, "--watch", "--interval", "10ms"], "at least 1s"),
        (&[&image, "--interval", "10s"], "--watch"),
        (&[], "nothing to scan: name images"),
    ] {
        let ended = place.run(&[&["scan"][..], arguments].concat());
        assert_eq!(ended.code, 2, "{}", ended.shown());
        assert!(ended.stderr.contains(words), "{}", ended.shown());
    }
}

/// Flux v1's rows about include and exclude globs: through the filter, and through the program.
#[test]
fn include_and_exclude_are_those_of_flux_v1() {
    let registry = require!(DockerRegistry::start());
    let host = registry.authority();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policy/tests/cases/flux-v1.json"
    );
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // A subject of these rows is any text; here it is a repository of a registry, and the globs begin with its host.
    let here = |text: &str| format!("{host}/{}", text.replace(' ', "-"));
    let globs = |value: &Value| -> Vec<String> {
        let globs = value.as_array().unwrap().iter();
        globs
            .map(|glob| match glob.as_str().unwrap() {
                glob if glob.starts_with('*') => glob.to_owned(),
                glob => here(glob),
            })
            .collect()
    };
    let place = Workplace::new();
    let mut ran = 0;
    for row in &rows {
        let input = &row["input"];
        let include = input.get("include").map(globs).unwrap_or_default();
        let Some(exclude) = input.get("exclude").map(globs) else {
            continue;
        };
        let list = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let (subjects, expected) = match row["kind"].as_str().unwrap() {
            "include_exclude" => {
                let subject = input["subject"].as_str().unwrap().to_owned();
                let expected = row["expected"].as_bool().unwrap();
                (
                    vec![subject.clone()],
                    Vec::from_iter(expected.then_some(subject)),
                )
            }
            "include_exclude.workload_images" => {
                let images = [list(&input["initContainers"]), list(&input["containers"])].concat();
                let names = images.iter().map(|image| image.replace(":tag", ""));
                (names.collect(), list(&row["expected"]["scanned_names"]))
            }
            kind => panic!("unknown kind {kind}"),
        };
        let filter = tagline_scanner::ImageFilter::new(&include, &exclude);
        let allowed: Vec<&String> = subjects
            .iter()
            .filter(|subject| {
                filter.allows(&tagline_policy::ImageName::parse(&here(subject)).unwrap())
            })
            .collect();
        assert_eq!(allowed, expected.iter().collect::<Vec<_>>(), "{row}");

        let mut arguments: Vec<String> = ["scan", "--insecure", "-o", "json"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(include.iter().map(|glob| format!("--include={glob}")));
        arguments.extend(exclude.iter().map(|glob| format!("--exclude={glob}")));
        for subject in &subjects {
            let subject = subject.replace(' ', "-");
            registry.push(&subject, "1.0.0", &Image::default());
            arguments.push(format!("{host}/{subject}"));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = place.run(&arguments);
        assert_eq!(ended.code, 0, "{}", ended.shown());
        let scanned: Vec<Value> = lines(&ended.stdout)
            .iter()
            .map(|row| row["canonical"].clone())
            .collect();
        let expected: Vec<String> = expected.iter().map(|subject| here(subject)).collect();
        assert_eq!(json!(scanned), json!(expected), "{row}");
        ran += 1;
    }
    assert_eq!(ran, 3, "rows about include and exclude");
}

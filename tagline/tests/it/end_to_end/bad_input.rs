//! Bad input stops only itself, and says where it is.

use tagline_testservers::{DockerRegistry, GitHttp, HttpServer, Response, require};

use super::fleet::{Fleet, PASSWORD, UPDATE, http_objects, image_objects};

/// Objects that are wrong, and what is told about them.
const WRONG: [(&str, &str, &[&str]); 6] = [
    (
        "unknown-field.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: a, namespace: fleet}\nspec:\n  image: ghcr.io/a/b\n  intervall: 1m\n",
        &["unknown-field.yaml:6", "intervall"],
    ),
    (
        "bad-duration.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\nmetadata: {name: b, namespace: fleet}\nspec:\n  image: ghcr.io/a/b\n  interval: soon\n",
        &["bad-duration.yaml:6", "soon"],
    ),
    (
        "bad-range.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: c, namespace: fleet}\nspec:\n  imageRepositoryRef: {name: app-0}\n  policy: {semver: {range: '>>1'}}\n",
        &["bad-range.yaml", ">>1"],
    ),
    (
        "bad-pattern.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: d, namespace: fleet}\nspec:\n  imageRepositoryRef: {name: app-0}\n  filterTags: {pattern: '('}\n  policy: {alphabetical: {order: asc}}\n",
        &["bad-pattern.yaml", "("],
    ),
    (
        "unknown-reference.yaml",
        "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {name: e, namespace: fleet}\nspec:\n  imageRepositoryRef: {name: nobody}\n  policy: {alphabetical: {order: asc}}\n",
        &["nobody"],
    ),
    ("broken.yaml", "kind: [\n", &["broken.yaml"]),
];

#[test]
fn wrong_objects_stop_only_themselves() {
    let registry = require!(DockerRegistry::start());
    for (name, text, told) in WRONG {
        let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
        let remote = server.create("fleet");
        let fleet = Fleet::new(&registry, 2);
        fleet.fill(&remote);
        fleet.write_manifests(&http_objects(&server, "fleet"));
        fleet.write_manifest(name, text);
        let output = fleet.run("storage", &["--once"]).output().unwrap();
        let all = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        for word in told {
            assert!(all.contains(word), "{name}: no {word:?} in\n{all}");
        }
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{name}: {}\n{all}",
            output.status
        );
        fleet.assert_updated(&remote, &[UPDATE, "Deploy everything"]);
    }
}

#[test]
fn bad_registries_stop_only_their_images() {
    type Answer = fn() -> Response;
    let registry = require!(DockerRegistry::start());
    let cases: [(&str, Answer); 6] = [
        ("html", || {
            Response::new(200, "<html>login</html>").with_header("Content-Type", "text/html")
        }),
        ("unauthorized", || Response::new(401, "")),
        ("missing", || {
            Response::new(404, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}")
        }),
        ("broken", || Response::new(500, "oops")),
        ("illegal", || {
            Response::json("{\"name\":\"x\",\"tags\":[\"1.0.0\\n\",\"$(id)\",\"../x\"]}")
        }),
        ("silent", Response::dropped),
    ];
    let server = require!(GitHttp::options().with_user("me", PASSWORD).start());
    let remote = server.create("fleet");
    let fleet = Fleet::new(&registry, 2);
    fleet.fill(&remote);
    fleet.write_manifests(&http_objects(&server, "fleet"));
    let mut bad = Vec::new();
    for (name, response) in cases {
        let server = HttpServer::start(move |request| match request.path.as_str() {
            "/v2/" if !matches!(name, "silent" | "html") => Response::json("{}"),
            _ => response(),
        });
        let server = server.unwrap();
        fleet.write_manifest(
            &format!("{name}.yaml"),
            &image_objects(name, &format!("{}/x", server.authority())),
        );
        bad.push((name, server));
    }
    let output = fleet
        .run("storage", &["--once", "-o", "json"])
        .output()
        .unwrap();
    let all = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{all}");
    for (name, _) in bad {
        assert!(all.contains(name), "no {name:?} in\n{all}");
    }
    fleet.assert_updated(&remote, &[UPDATE, "Deploy everything"]);
}

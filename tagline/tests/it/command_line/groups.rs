//! Policies that move together, in every command that chooses.

use super::program::Workplace;
use serde_json::json;

/// Two policies of one group: their images name the same versions in different ways.
const POLICIES: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: api, namespace: shop}
spec: {image: registry.example.com/api, interval: 5m}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: web, namespace: shop}
spec: {image: registry.example.com/web, interval: 5m}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: api, namespace: shop}
spec:
  imageRepositoryRef: {name: api}
  group: release
  policy: {semver: {range: '>=1.0.0'}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: web, namespace: shop}
spec:
  imageRepositoryRef: {name: web}
  group: release
  filterTags: {pattern: '^(?P<v>.*)-alpine$', extract: $v}
  policy: {semver: {range: '>=1.0.0'}}
";

fn place() -> Workplace {
    Workplace::with(&[
        ("m.yaml", POLICIES),
        ("api.txt", "v1.0.0\nv1.1.0\nv1.2.0\nlatest\n"),
        ("web.txt", "1.0.0-alpine\n1.1.0-alpine\n1.3.0\n"),
    ])
}

const SELECT: [&str; 7] = [
    "select",
    "-f",
    "m.yaml",
    "--tags",
    "api=api.txt",
    "--tags",
    "shop/web=web.txt",
];

#[test]
fn select_chooses_the_newest_version_of_all() {
    let place = place();
    let run = |more: &[&str]| place.run(&[&SELECT[..], more].concat());
    insta::assert_snapshot!("groups_select", run(&["--explain"]).shown());
    assert_eq!(
        run(&["-o", "json"]).json(),
        json!([
            {
                "policy": "shop/api", "group": "release", "tag": "v1.1.0", "considered": 4, "matched": 3,
                "heldBack": {"tag": "v1.2.0", "version": "1.2.0", "lacking": ["web"]},
            },
            {"policy": "shop/web", "group": "release", "tag": "1.1.0-alpine", "considered": 3, "matched": 2},
        ])
    );
    // The others are asked, too, when one is wanted.
    let one = run(&["--policy", "api"]);
    assert_eq!((one.code, &*one.stdout), (0, "v1.1.0\n"), "{}", one.shown());
}

#[test]
fn a_group_without_a_choice_says_who_it_waits_for() {
    let place = place();
    place.write("web.txt", "2.0.0-alpine\n");
    let ended = place.run(&[&SELECT[..], &["-o", "json"]].concat());
    assert_eq!(ended.code, 1);
    let answers = ended.json();
    assert_eq!(answers[0]["reason"], "no-common-version");
    assert_eq!(
        answers[0]["message"],
        "no version exists for all images of the group: web has no 1.2.0"
    );
    place.write("web.txt", "latest\n");
    let answers = place.run(&[&SELECT[..], &["-o", "json"]].concat()).json();
    assert_eq!(answers[0]["reason"], "group-held");
    assert_eq!(
        answers[0]["message"],
        "the group waits for web: version list argument cannot be empty"
    );
    assert_eq!(answers[1]["reason"], "empty-list");
    // A member that cannot be used holds the others.
    place.write("m.yaml", &POLICIES.replace("'^(?P<v>.*)-alpine$'", "'^('"));
    let ended = place.run(&["select", "-f", "m.yaml", "--tags", "api.txt", "-o", "json"]);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    let answer = ended.json();
    assert_eq!(answer["reason"], "group-held");
    assert!(
        answer["message"].as_str().unwrap().starts_with(
            "the group waits for ImagePolicy shop/web at m.yaml:20:1 cannot be used: spec.filterTags.pattern: "
        ),
        "{answer}"
    );
}

#[test]
fn lists_on_the_command_line_go_together_or_one_by_one() {
    let place = Workplace::with(&[("a.txt", "1.0.0\n1.1.0\n"), ("b.txt", "1.0.0\n1.2.0\n")]);
    let run = |more: &[&str]| {
        let select = [
            "select", "--semver", "*", "--tags", "a.txt", "--tags", "b.txt",
        ];
        place.run(&[&select[..], more].concat())
    };
    insta::assert_snapshot!("groups_lists", run(&[]).shown());
    insta::assert_snapshot!("groups_lists_together", run(&["--together"]).shown());
    assert_eq!(
        run(&["--together", "-o", "json"]).json()[0],
        json!({
            "source": "a.txt", "group": "together", "tag": "1.0.0", "considered": 2, "matched": 2,
            "heldBack": {"tag": "1.1.0", "version": "1.1.0", "lacking": ["b.txt"]},
        })
    );
    for (arguments, words) in [
        (
            &["--semver", "*", "--tags", "a.txt", "--together"][..],
            "--together needs several images",
        ),
        (
            &["--semver", "*", "--tags", "-", "--tags", "-"],
            "standard input can be read only once",
        ),
        (
            &["--suggest", "--tags", "a.txt", "--tags", "b.txt"],
            "--suggest looks at one list",
        ),
    ] {
        let ended = place.run(&[&["select"][..], arguments].concat());
        assert_eq!(ended.code, 2, "{}", ended.shown());
        assert!(ended.stderr.contains(words), "{}", ended.shown());
    }
}

#[test]
fn check_finds_groups_that_are_none() {
    let automation = "---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: fleet, namespace: shop}
spec:
  interval: 5m
  sourceRef: {kind: GitRepository, name: fleet}
  git: {commit: {author: {email: bot@example.com}}}
  policySelector: {matchLabels: {update: auto}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fleet, namespace: shop}
spec: {url: https://git.example.com/fleet.git, interval: 1m}
";
    let place = Workplace::new();
    let mut shown = String::new();
    for (what, text) in [
        (
            "alone",
            POLICIES.replacen("group: release", "group: relase", 1),
        ),
        (
            "elsewhere",
            POLICIES.replace("name: web, namespace: shop", "name: web, namespace: other"),
        ),
        (
            "incomparable",
            POLICIES.replacen("semver: {range: '>=1.0.0'}", "numerical: {}", 1),
        ),
        (
            "not a name",
            POLICIES.replace("group: release", "group: Our release"),
        ),
        (
            "divided",
            POLICIES.replacen(
                "kind: ImagePolicy\nmetadata: {name: api, namespace: shop}",
                "kind: ImagePolicy\nmetadata: {name: api, namespace: shop, labels: {update: auto}}",
                1,
            ) + automation,
        ),
    ] {
        place.write("m.yaml", &text);
        let ended = place.run(&["check", "-f", "m.yaml"]);
        shown = format!("{shown}# {what}\n{}\n", ended.shown());
    }
    insta::assert_snapshot!("groups_check", shown);
}

#[test]
fn update_takes_a_group_as_a_whole() {
    let given = |name: &str, tag: &str| {
        format!("status: {{latestRef: {{name: registry.example.com/{name}, tag: {tag}}}}}\n")
    };
    let text = "a: registry.example.com/api:v1.0.0 # {\"$imagepolicy\": \"shop:api\"}\nw: registry.example.com/web:1.0.0-alpine # {\"$imagepolicy\": \"shop:web\"}\n";
    let (first, second) = POLICIES.rsplit_once("---\n").unwrap();
    let with_both = format!(
        "{first}{}---\n{second}{}",
        given("api", "v1.1.0"),
        given("web", "1.1.0-alpine")
    );
    let with_one = format!("{first}{}---\n{second}", given("api", "v1.1.0"));
    let place = Workplace::with(&[("m.yaml", &with_one), ("repo/a.yaml", text)]);
    let update = ["update", "-f", "m.yaml", "--path", "repo", "--offline"];
    let half = place.run(&update);
    assert_eq!(place.read("repo/a.yaml"), text, "{}", half.shown());
    assert!(
        half.stderr
            .contains("ImagePolicy shop/api or another of group release has no status.latestRef"),
        "{}",
        half.shown()
    );
    place.write("m.yaml", &with_both);
    let whole = place.run(&update);
    assert_eq!(whole.code, 0, "{}", whole.shown());
    assert_eq!(
        place.read("repo/a.yaml"),
        text.replace("v1.0.0", "v1.1.0")
            .replace("1.0.0-alpine", "1.1.0-alpine")
    );
}

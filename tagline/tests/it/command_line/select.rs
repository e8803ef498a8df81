//! `tagline select`.

use super::program::Workplace;
use serde_json::json;

const TAGS: &str = "latest\nv1.0.0\n1.1.0\n\n1.2.0\r\n2.0.0-rc.1\nbad tag\n1.3.0+build\nmain-1a2b3c4-1700000000\nsha256-0000000000000000000000000000000000000000000000000000000000000000.sig\n";

#[test]
fn json_is_what_other_programs_rely_on() {
    let place = Workplace::with(&[("tags.txt", TAGS)]);
    let chosen = place.run(&[
        "select", "--semver", ">=1.0.0", "--tags", "tags.txt", "-o", "json",
    ]);
    assert_eq!(chosen.code, 0);
    assert_eq!(
        chosen.json(),
        json!({"tag": "1.2.0", "considered": 7, "matched": 3})
    );
    let keys: Vec<usize> = ["\"tag\"", "\"considered\"", "\"matched\""]
        .iter()
        .map(|key| chosen.stdout.find(key).unwrap())
        .collect();
    assert!(keys.is_sorted(), "{}", chosen.stdout);

    let nothing = place.run(&[
        "select", "--semver", ">=9", "--tags", "tags.txt", "-o", "json",
    ]);
    assert_eq!(nothing.code, 1);
    assert_eq!(
        nothing.json(),
        json!({
            "tag": null,
            "reason": "nothing-matches",
            "message": "unable to determine latest version from provided list",
        })
    );

    let explained = place.run(&[
        "select",
        "--semver",
        ">=1.0.0",
        "--tags",
        "tags.txt",
        "--explain",
        "-o",
        "json",
    ]);
    assert_eq!(explained.code, 0);
    let verdicts = explained.json()["verdicts"].clone();
    let of = |tag: &str| {
        let verdicts = verdicts.as_array().unwrap();
        let found = verdicts
            .iter()
            .find(|verdict| verdict["tag"] == tag)
            .unwrap();
        assert_eq!(found.as_object().unwrap().len(), 3, "{found}");
        found["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(of("1.2.0"), "chosen");
    assert_eq!(of("v1.0.0"), "older");
    assert_eq!(of("latest"), "unparsable");
    assert_eq!(of("2.0.0-rc.1"), "prerelease");
    assert_eq!(verdicts.as_array().unwrap().len(), 7);
}

#[test]
fn reasons_are_stable_words() {
    let place = Workplace::new();
    for (flags, tags, reason) in [
        (&["--semver", "1.x"][..], "", "empty-list"),
        (&["--semver", "1.x"], "latest\n", "nothing-matches"),
        (&["--numerical", "asc"], "1\nx\n", "not-a-number"),
        (
            &["--alphabetical", "asc", "--filter", "^v"],
            "1\n",
            "empty-list",
        ),
        (
            &["--semver", "*", "--minimum-age", "7d"],
            "1.0.0\n",
            "too-young",
        ),
        (
            &["--semver", "*", "--never-downgrade", "--current", "2.0.0"],
            "1.0.0\n",
            "downgrade",
        ),
        (&["--created", "asc"], "1.0.0\n", "no-times"),
    ] {
        let mut arguments = vec!["select", "--tags", "-", "-o", "json"];
        arguments.extend(flags);
        let ended = place.run_with_input(&arguments, tags);
        assert_eq!(ended.code, 1, "{}", ended.shown());
        assert_eq!(ended.json()["reason"], reason, "{}", ended.shown());
        assert_eq!(ended.json()["tag"], json!(null));
    }
}

#[test]
fn every_way_to_choose() {
    let place = Workplace::new();
    let tags = "main-1a2b3c4-1700000000\nmain-9f8e7d6-1700000100\n20240115\n3\nrc2\nrc11\n";
    for (flags, chosen) in [
        (&["--alphabetical"][..], "rc2"),
        (&["--alphabetical", "desc"], "20240115"),
        (&["--filter", "^[0-9]+$", "--numerical", "asc"], "20240115"),
        (
            &[
                "--filter",
                "-(?P<ts>[0-9]+)$",
                "--extract",
                "$ts",
                "--numerical",
                "asc",
            ],
            "main-9f8e7d6-1700000100",
        ),
        (&["--filter", "^rc", "--natural", "asc"], "rc11"),
        (&["--numerical", "desc", "--skip-unparsable"], "3"),
        (&["--sortable", "timestamp"], "main-9f8e7d6-1700000100"),
    ] {
        let mut arguments = vec!["select", "--tags", "-"];
        arguments.extend(flags);
        let ended = place.run_with_input(&arguments, tags);
        assert_eq!(
            ended.stdout,
            format!("{chosen}\n"),
            "{flags:?}: {}",
            ended.shown()
        );
    }
}

#[test]
fn tables_for_people() {
    let place = Workplace::with(&[("tags.txt", TAGS)]);
    for (name, arguments) in [
        (
            "select_explain",
            &[
                "select",
                "--semver",
                ">=1.0.0",
                "--tags",
                "tags.txt",
                "--explain",
            ][..],
        ),
        (
            "select_explain_one",
            &[
                "select",
                "--semver",
                ">=1.0.0",
                "--tags",
                "tags.txt",
                "--explain",
                "latest",
            ],
        ),
        (
            "select_nothing",
            &["select", "--semver", ">=9", "--tags", "tags.txt"],
        ),
        (
            "select_suggest",
            &["select", "--suggest", "--tags", "tags.txt"],
        ),
    ] {
        insta::assert_snapshot!(name, place.run(arguments).shown());
    }
}

#[test]
fn what_is_wrong_is_shown_with_a_caret() {
    let place = Workplace::with(&[("tags.txt", "1.0.0\n")]);
    let mut all = String::new();
    for flags in [
        &["--semver", ">=1.0.0 <2.x.y"][..],
        &["--alphabetical", "up"],
        &["--alphabetical", "asc", "--filter", "^v(1"],
        &["--alphabetical", "asc", "--filter", "(?=x)"],
        &["--sortable", "date"],
        &["--semver", "*", "--minimum-age", "soon"],
        &["--filter", "^v"],
        &["--semver", "*", "--current", "a b", "--never-downgrade"],
        &["--semver", "*", "--explain", "3.0.0"],
    ] {
        let mut arguments = vec!["select", "--tags", "tags.txt"];
        arguments.extend(flags);
        let ended = place.run(&arguments);
        assert_eq!(ended.code, 2, "{}", ended.shown());
        assert_eq!(ended.stdout, "");
        all = format!(
            "{all}$ tagline select {}\n{}\n",
            flags.join(" "),
            ended.stderr
        );
    }
    let missing = place.run(&["select", "--semver", "*", "--tags", "nowhere.txt"]);
    assert_eq!(missing.code, 2);
    all.push_str(&missing.stderr);
    insta::assert_snapshot!("select_mistakes", all);
}

const POLICIES: &str = "
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: app, namespace: apps}
spec: {image: registry.example.com/app, interval: 5m, exclusionList: ['-arm$']}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: app, namespace: apps}
spec:
  imageRepositoryRef: {name: app}
  policy: {semver: {range: '>=1.0.0-0'}}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: oldest, namespace: apps}
spec:
  imageRepositoryRef: {name: app}
  policy: {alphabetical: {order: desc}}
";

#[test]
fn policies_of_files_are_asked_with_their_repositorys_exclusions() {
    let place = Workplace::with(&[
        ("m.yaml", POLICIES),
        ("tags.txt", "1.0.0\n1.1.0\n1.2.0-arm\n"),
    ]);
    let one = place.run(&[
        "select", "-f", "m.yaml", "--policy", "app", "--tags", "tags.txt", "-o", "json",
    ]);
    assert_eq!(
        one.json(),
        json!({"tag": "1.1.0", "considered": 3, "matched": 2}),
        "{}",
        one.shown()
    );
    let named = place.run(&[
        "select",
        "-f",
        "m.yaml",
        "--policy",
        "apps/oldest",
        "--tags",
        "tags.txt",
    ]);
    assert_eq!(named.stdout, "1.0.0\n");
    insta::assert_snapshot!(
        "select_all_policies",
        place
            .run(&["select", "-f", "m.yaml", "--tags", "tags.txt"])
            .shown()
    );
    let unknown = place.run(&[
        "select", "-f", "m.yaml", "--policy", "ap", "--tags", "tags.txt",
    ]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("apps/app, apps/oldest"),
        "{}",
        unknown.shown()
    );
}

//! How registries are reached: proxies out of the environment, and the registries of a `Settings` object.

use super::program::{Ended, Workplace};
use serde_json::Value;
use tagline_testservers::{
    CertificateAuthority, HttpServer, Nginx, NginxTls, ProxyServer, Request, Response, require,
};

const SECRET: &str = "open-sesame-4711";
/// Only the proxy knows it.
const NAME: &str = "registry.example:5000/team/app";

fn registry() -> HttpServer {
    HttpServer::start(|_| Response::json(r#"{"tags":["1.0.0"]}"#)).unwrap()
}

fn scan(place: &Workplace, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let all = [&["scan", "-o", "json"], arguments].concat();
    let ended = place.run_in(environment, &all);
    assert!(!ended.shown().contains(SECRET), "{}", ended.shown());
    ended
}

fn tags(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.shown());
    let row: Value = serde_json::from_str(&ended.stdout).unwrap();
    row["tags"].clone()
}

#[test]
fn proxies_come_out_of_the_environment() {
    let registry = registry();
    let place = Workplace::new();
    let http = ProxyServer::http()
        .with_host("registry.example", &registry.authority())
        .with_login("me", SECRET)
        .start()
        .unwrap();
    let socks = ProxyServer::socks5()
        .with_host("registry.example", &registry.authority())
        .with_login("me", SECRET)
        .start()
        .unwrap();
    let http_url = format!("http://me:{SECRET}@{}", http.authority());
    let socks_url = format!("socks5h://me:{SECRET}@{}", socks.authority());
    for (variable, url) in [
        ("HTTP_PROXY", &http_url),
        ("http_proxy", &http_url),
        ("ALL_PROXY", &http_url),
        ("all_proxy", &socks_url),
        ("HTTP_PROXY", &socks_url),
    ] {
        let before = http.asked().len() + socks.asked().len();
        // https is tried first, and goes its own way.
        let ended = scan(&place, &[(variable, url)], &["--insecure", NAME]);
        if variable.eq_ignore_ascii_case("HTTP_PROXY") {
            // That way is not there, for a name that nobody else knows.
            assert_eq!(ended.code, 1, "{}", ended.shown());
            let both = [(variable, url.as_str()), ("HTTPS_PROXY", url.as_str())];
            assert_eq!(
                tags(&scan(&place, &both, &["--insecure", NAME])),
                1,
                "{variable}"
            );
        } else {
            assert_eq!(tags(&ended), 1, "{variable} {url}");
        }
        assert!(
            http.asked().len() + socks.asked().len() > before,
            "{variable}"
        );
    }
    assert_eq!((http.refused(), socks.refused()), (0, 0));
}

#[test]
fn no_proxy_leaves_the_proxy_out() {
    let registry = registry();
    let place = Workplace::new();
    let proxy = ProxyServer::http().start().unwrap();
    let url = format!("http://me:{SECRET}@{}", proxy.authority());
    let image = format!("{}/team/app", registry.authority());
    for no_proxy in ["127.0.0.1", "127.0.0.0/8", "localhost,127.0.0.1"] {
        let environment = [("ALL_PROXY", url.as_str()), ("NO_PROXY", no_proxy)];
        assert_eq!(
            tags(&scan(&place, &environment, &[&image])),
            1,
            "{no_proxy}"
        );
    }
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    let environment = [("ALL_PROXY", url.as_str()), ("NO_PROXY", "example.com")];
    assert_eq!(tags(&scan(&place, &environment, &[&image])), 1);
    assert!(!proxy.asked().is_empty());
}

#[test]
fn a_proxy_of_the_environment_that_refuses_is_not_quoted_with_its_password() {
    let place = Workplace::new();
    let proxy = ProxyServer::http()
        .with_login("other", "one")
        .start()
        .unwrap();
    let url = format!("http://me:{SECRET}@{}", proxy.authority());
    let ended = scan(
        &place,
        &[("ALL_PROXY", &url), ("TAGLINE_LOG_LEVEL", "trace")],
        &["registry.example/team/app"],
    );
    assert_eq!(ended.code, 1, "{}", ended.shown());
    assert!(proxy.refused() > 0);
}

/// Wants a password, and says which way the request came.
fn private(way: &'static str) -> HttpServer {
    HttpServer::start(move |request: &Request| {
        let wanted = Some(("me".to_owned(), SECRET.to_owned()));
        if request.basic_credentials() != wanted {
            return Response::new(401, "").with_header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        Response::json(format!(r#"{{"tags":["{way}"]}}"#))
    })
    .unwrap()
}

const SECRET_OBJECT: &str = "apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: ops}
type: kubernetes.io/dockerconfigjson
stringData:
  .dockerconfigjson: |
    {\"auths\": {\"*.example\": {\"username\": \"me\", \"password\": \"open-sesame-4711\"},
               \"*.inside.example:5000\": {\"username\": \"me\", \"password\": \"open-sesame-4711\"}}}
---
";

#[test]
fn settings_say_for_hosts_by_globs_how_they_are_reached() {
    let mirror = private("mirrored");
    let proxied = private("proxied");
    let proxy = ProxyServer::http()
        .with_host("deep.inside.example", &proxied.authority())
        .start()
        .unwrap();
    let authority = CertificateAuthority::new("test");
    let secure = Nginx::options()
        .with_tls(NginxTls {
            certificate: authority.loopback_server(),
            client_authority: None,
        })
        .start();
    let secure = require!(secure);
    secure.write_tags("team/app", &["secure"]);
    let settings = format!(
        "{SECRET_OBJECT}apiVersion: tagline.dev/v1alpha1
kind: Settings
metadata: {{name: settings}}
spec:
  registries:
    - {{host: mirrored.example, endpoint: 'http://{mirror}', insecure: true}}
    - {{host: '*.inside.example', proxy: 'http://{proxy}', insecure: true}}
    - {{host: '127.0.0.*', caFile: ca.pem, timeout: 20s}}
    - {{host: '*.example', secretRef: {{name: pull, namespace: ops}}}}
",
        mirror = mirror.authority(),
        proxy = proxy.authority(),
    );
    let place = Workplace::with(&[("settings.yaml", &settings), ("ca.pem", &authority.pem())]);
    let secure_image = format!("{}/team/app", secure.authority());
    for (image, tag) in [
        ("mirrored.example/team/app", "mirrored"),
        ("deep.inside.example:5000/team/app", "proxied"),
        (&secure_image, "secure"),
    ] {
        let object = format!(
            "apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {{name: app, namespace: team}}
spec: {{image: {image}, interval: 1h}}
"
        );
        place.write("image.yaml", &object);
        // As an object with nothing of its own, and by name.
        for arguments in [
            &["-f", "settings.yaml", "-f", "image.yaml"][..],
            &["-f", "settings.yaml", image],
        ] {
            assert_eq!(tags(&scan(&place, &[], arguments)), 1, "{image}");
        }
        let ended = place.run(&[
            "run",
            "--once",
            "-f",
            "settings.yaml",
            "-f",
            "image.yaml",
            "-o",
            "json",
        ]);
        assert_eq!(ended.code, 0, "{}", ended.shown());
        let latest = &ended.json()["objects"][0]["status"]["lastScanResult"]["latestTags"][0];
        assert_eq!(latest, tag, "{image}: {}", ended.shown());
        assert!(!ended.shown().contains(SECRET));
    }
}

#[test]
fn a_secret_of_the_settings_that_is_not_there_is_told_with_its_place() {
    let settings = "apiVersion: tagline.dev/v1alpha1
kind: Settings
metadata: {name: settings}
spec:
  registries:
    - {host: ghcr.io, secretRef: {name: gone}}
";
    let place = Workplace::with(&[("settings.yaml", settings)]);
    let ended = place.run(&["scan", "-f", "settings.yaml", "alpine"]);
    assert_ne!(ended.code, 0);
    let shown = ended.shown();
    assert!(shown.contains("settings.yaml:1"), "{shown}");
    assert!(shown.contains("spec.registries.0"), "{shown}");
    assert!(shown.contains("there is no Secret default/gone"), "{shown}");
}

#[test]
fn flags_and_variables_are_checked() {
    let place = Workplace::with(&[("empty.yaml", "")]);
    for (variable, value) in [
        ("TAGLINE_INTERVAL_JITTER", "2"),
        ("TAGLINE_GC_AFTER", "soon"),
        ("TAGLINE_REGISTRY_FULL_LISTING_INTERVAL", "1"),
    ] {
        let ended = place.run_in(&[(variable, value)], &["run", "--once", "-f", "empty.yaml"]);
        assert_eq!(ended.code, 2, "{}", ended.shown());
    }
}

//! How the forge is reached: an authority of one's own, a proxy, and a Secret that belongs elsewhere.

use tagline_testservers::forge::ForgeKind;
use tagline_testservers::{CertificateAuthority, Nginx, NginxTls, require};

use super::{SECRET, Scene, automation, reported};

fn indented(pem: &str) -> String {
    pem.lines()
        .fold(String::new(), |text, line| text + "    " + line + "\n")
}

#[test]
fn over_https_with_an_authority_of_ones_own() {
    let scene = require!(Scene::new(ForgeKind::Gitea, 1, "branch: updates", ""));
    let authority = CertificateAuthority::new("forge");
    let tls = NginxTls {
        certificate: authority.loopback_server(),
        client_authority: None,
    };
    let front = Nginx::options()
        .with_tls(tls)
        .with_proxy_to(&scene.forge.url());
    let front = require!(front.start());
    let api = format!(
        "provider: gitea, apiURL: '{}/api/v1', secretRef: {{name: forge}}",
        front.url()
    );
    let objects = &scene.objects;
    let write = |secret: &str| {
        let automation = automation("branch: updates", &api);
        let text = format!("{}{objects}{secret}{automation}", scene.fleet.images());
        scene.fleet.write_manifest("all.yaml", &text);
    };
    write(SECRET);
    let report = scene.failing_pass();
    assert_eq!(report["reason"], "ConnectionFailed", "{report}");

    let token = "stringData: {token: s3cr3t-t0ken-0123456789}";
    let with_authority = format!(
        "stringData:\n  token: s3cr3t-t0ken-0123456789\n  ca.crt: |\n{}",
        indented(&authority.pem())
    );
    write(&SECRET.replace(token, with_authority.trim_end()));
    let report = scene.pass();
    assert_eq!(
        reported(&report),
        [("updates".to_owned(), "Open".to_owned(), Some(1))]
    );
}

#[test]
fn the_credential_of_git_goes_to_no_other_host() {
    let scene = require!(Scene::new(ForgeKind::Gitea, 1, "branch: updates", ""));
    let objects = &scene.objects;
    let api = format!("provider: gitea, apiURL: '{}'", scene.forge.api());
    let automation = automation("branch: updates", &api);
    let text = format!("{}{objects}{automation}", scene.fleet.images());
    scene.fleet.write_manifest("all.yaml", &text);
    let report = scene.failing_pass();
    assert_eq!(report["reason"], "InvalidSourceConfiguration");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("name a Secret in spec.git.pullRequest.secretRef"),
        "{message}"
    );
    assert_eq!(scene.forge.repo().requests, 0);
}

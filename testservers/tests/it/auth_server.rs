//! Tokens that CNCF distribution accepts.

use tagline_testservers::{AuthServer, DockerRegistry, HttpClient, Image, require};

/// The value of `"token":"…"`.
fn token(body: &str) -> String {
    let (_, rest) = body.split_once(r#""token":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_registry_accepts_its_tokens_for_their_scope_only() {
    let tokens = AuthServer::options()
        .with_user("me", "secret")
        .start()
        .unwrap();
    let registry = require!(DockerRegistry::options().with_tokens_of(&tokens).start());
    registry.push("one", "1", &Image::default());
    registry.push("two", "1", &Image::default());
    let client = HttpClient::new(&registry.authority());

    let challenge = client.get("/v2/one/tags/list").unwrap();
    let expected = format!(
        r#"Bearer realm="{}",service="test-registry",scope="repository:one:pull""#,
        tokens.realm()
    );
    assert_eq!(challenge.status, 401);
    assert_eq!(challenge.header("www-authenticate"), Some(&*expected));

    let authority = tokens.realm();
    let authority = authority
        .trim_start_matches("http://")
        .trim_end_matches("/token");
    let asking = HttpClient::new(authority);
    let path = "/token?service=test-registry&scope=repository%3Aone%3Apull";
    assert_eq!(asking.get(path).unwrap().status, 401);
    let asking = asking.with_basic_auth("me", "secret");
    let answer = asking.get(path).unwrap();
    let bearer = format!("Bearer {}", token(&answer.text()));

    let client = client.with_header("Authorization", &bearer);
    let list = client.get("/v2/one/tags/list").unwrap();
    assert_eq!(list.status, 200, "{}\n{}", list.text(), registry.log());
    assert_eq!(client.get("/v2/two/tags/list").unwrap().status, 401);
    assert_eq!(tokens.requests().len(), 2);
}

#[test]
fn one_token_covers_several_scopes_unless_refused() {
    let tokens = AuthServer::options().with_max_scopes(2).start().unwrap();
    let realm = tokens.realm();
    let client = HttpClient::new(
        realm
            .trim_start_matches("http://")
            .trim_end_matches("/token"),
    );
    let scope = "&scope=repository:a:pull";
    let path = |count: usize| format!("/token?service=s{}", scope.repeat(count));
    assert_eq!(client.get(&path(2)).unwrap().status, 200);
    assert_eq!(client.get(&path(3)).unwrap().status, 400);
    let form = b"grant_type=password&scope=repository%3Aa%3Apull+repository%3Ab%3Apull";
    let answer = client.send("POST", "/token", "application/x-www-form-urlencoded", form);
    assert_eq!(answer.unwrap().status, 200);
}

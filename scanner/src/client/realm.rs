//! Asks a token realm: one request for the scopes of all scans that wait, or for one where the realm wants it so.

use super::challenge::BearerChallenge;
use super::error_body::ErrorBody;
use super::exchange::{Answer, Ask, host_of, shown};
use super::guard::{Reach, check_realm};
use super::session::{Session, basic};
use super::token::{Fingerprint, MAX_SCOPES, Scope, Token};
use crate::credentials::{Credential, Secret};
use crate::error::Problem;
use crate::scan::RequestKind;
use http::{Method, StatusCode, header};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tokio::time::Instant;
use url::Url;

/// Named to the realm where the protocol wants a client's name.
const CLIENT_ID: &str = "tagline";
/// The most bytes of a realm's answer.
const MAX_ANSWER: u64 = 256 * 1024;

/// A token for the session's scope; whether it was asked for just now.
pub(super) async fn token(
    session: &mut Session<'_>,
    challenge: &BearerChallenge,
    credential: &Credential,
    fingerprint: Fingerprint,
) -> Result<(Arc<Token>, bool), Problem> {
    let realm = realm_url(session, challenge)?;
    let scope = session.scope().clone();
    let host = Arc::clone(&session.host);
    if !host.learned(|learned| learned.single_scope) {
        let desk = host.tokens.desk(fingerprint);
        desk.want(&scope);
        let turn = desk.turn.lock().await;
        // Somebody before us in the queue may have asked for ours too.
        if let Some(token) = host.tokens.get(fingerprint, &scope) {
            return Ok((token, false));
        }
        let scopes = desk.take(&scope, MAX_SCOPES);
        let asked = ask(session, &realm, challenge, credential, &scopes).await;
        match asked {
            Ok(token) => {
                let token = Arc::new(token);
                host.tokens.put(fingerprint, &scopes, &token);
                return Ok((token, true));
            }
            Err(problem) if scopes.len() == 1 || !is_about_scopes(&problem) => {
                return Err(problem);
            }
            Err(_) => host.learned(|learned| learned.single_scope = true),
        }
        drop(turn);
    }
    let scopes = [scope];
    let token = Arc::new(ask(session, &realm, challenge, credential, &scopes).await?);
    host.tokens.put(fingerprint, &scopes, &token);
    Ok((token, true))
}

/// Whether fewer scopes could have been answered.
const fn is_about_scopes(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Unauthorized { .. }
            | Problem::Forbidden { .. }
            | Problem::NotFound { .. }
            | Problem::UnexpectedStatus { .. }
            | Problem::ServerError { .. }
            | Problem::Malformed { .. }
            | Problem::TooLarge { .. }
    )
}

/// The registry's address.
fn registry(session: &Session<'_>) -> Url {
    session
        .host
        .learned(|learned| learned.base.clone())
        .unwrap_or_else(|| session.host.key.endpoint.clone())
}

fn realm_url(session: &Session<'_>, challenge: &BearerChallenge) -> Result<Url, Problem> {
    let base = registry(session);
    let host = host_of(&base);
    let realm = Url::parse(&challenge.realm).map_err(|_| Problem::Malformed {
        host: host.clone(),
        detail: format!(
            "its token realm {:?} is not an address",
            crate::error::printable(&challenge.realm)
        ),
    })?;
    check_realm(&realm, &base).map_err(|reason| Problem::Refused {
        host,
        url: shown(&realm),
        reason,
    })?;
    Ok(realm)
}

async fn ask(
    session: &mut Session<'_>,
    realm: &Url,
    challenge: &BearerChallenge,
    credential: &Credential,
    scopes: &[Scope],
) -> Result<Token, Problem> {
    session.redaction.add_credential(credential);
    let mut answer = match credential.secret() {
        Secret::IdentityToken(token) => {
            let ask = refresh(realm, challenge, scopes, token.expose_secret());
            let answer = send(session, challenge, ask, credential).await?;
            if answer.status == StatusCode::NOT_FOUND
                || answer.status == StatusCode::METHOD_NOT_ALLOWED
            {
                // A realm from before OAuth2: the token as the password of nobody.
                answer.discard().await;
                let login = basic("", token.expose_secret());
                let ask = get(realm, challenge, scopes).authorization(login);
                send(session, challenge, ask, credential).await?
            } else {
                answer
            }
        }
        Secret::Basic { username, password } => {
            let login = basic(username, password.expose_secret());
            let ask = get(realm, challenge, scopes).authorization(login);
            send(session, challenge, ask, credential).await?
        }
        Secret::Anonymous | Secret::RegistryToken(_) => {
            send(
                session,
                challenge,
                get(realm, challenge, scopes),
                credential,
            )
            .await?
        }
    };
    let host = answer.host();
    if answer.status == StatusCode::OK {
        let body = answer.bytes().await?;
        if let Some(token) = Token::read(&body, scopes.len() > 1, Instant::now()) {
            session.redaction.add(token.value.expose_secret());
            return Ok(token);
        }
        let content_type = answer.header(header::CONTENT_TYPE).unwrap_or_default();
        if ErrorBody::read(content_type, &body).is_too_many_requests() {
            return Err(super::session::too_many(&answer));
        }
        return Err(Problem::Malformed {
            host,
            detail: "there is no token in the answer of the token realm".to_owned(),
        });
    }
    Err(refusal(session, answer, credential).await)
}

async fn send(
    session: &mut Session<'_>,
    challenge: &BearerChallenge,
    mut ask: Ask,
    credential: &Credential,
) -> Result<Answer, Problem> {
    ask.reach = Reach::of_led(&ask.url, &registry(session), challenge.is_from_inside);
    let mut counts = session.counts;
    let sent = session.channel(credential).send(ask, &mut counts).await;
    session.counts = counts;
    sent.map_err(|problem| match problem {
        Problem::Refused { url, reason, .. } => Problem::Refused {
            host: host_of(&registry(session)),
            url,
            reason,
        },
        problem => problem,
    })
}

async fn refusal(session: &Session<'_>, mut answer: Answer, credential: &Credential) -> Problem {
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Problem::RateLimited {
            host: answer.host(),
            retry_after: answer.blocked_for(),
        },
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let (_, body) = session.read_error(&mut answer).await;
            let host = answer.host();
            let identity = credential.identity().to_string();
            if body.is_too_many_requests() {
                super::session::too_many(&answer)
            } else if status == StatusCode::FORBIDDEN {
                Problem::Forbidden {
                    host,
                    identity,
                    detail: body.detail,
                }
            } else {
                Problem::Unauthorized {
                    host,
                    identity,
                    anonymous: credential.is_anonymous(),
                    detail: body.detail,
                }
            }
        }
        _ => session.unexpected(answer).await,
    }
}

fn get(realm: &Url, challenge: &BearerChallenge, scopes: &[Scope]) -> Ask {
    let mut url = realm.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &challenge.service {
            query.append_pair("service", service);
        }
        for scope in scopes {
            query.append_pair("scope", scope.as_str());
        }
    }
    Ask::get(RequestKind::Token, url, MAX_ANSWER)
}

fn refresh(realm: &Url, challenge: &BearerChallenge, scopes: &[Scope], token: &str) -> Ask {
    let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", token);
    if let Some(service) = &challenge.service {
        form.append_pair("service", service);
    }
    let mut ask = Ask::get(RequestKind::Token, realm.clone(), MAX_ANSWER);
    ask.method = Method::POST;
    ask.form = Some(form.finish());
    ask
}

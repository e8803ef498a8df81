//! What all forges' APIs have in common: requests about one repository, lists in pages, what becomes of a creation.

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::{Call, Http, Reply};
use super::{
    CreatePullRequest, ForgeError, PullRequest, PullRequestNumber, PullRequestState,
    RepositoryAddress, Update,
};

/// The API of one repository's forge.
pub(super) struct Api {
    http: Http,
    pub(super) repository: RepositoryAddress,
    /// The permission that requests need, in the forge's terms.
    needs: &'static str,
}

impl Api {
    pub(super) fn new(http: Http, repository: RepositoryAddress, needs: &'static str) -> Self {
        Self {
            http,
            repository,
            needs,
        }
    }

    pub(super) fn get(&self, operation: &'static str, url: Url) -> Call {
        Call::get(operation, self.needs, url)
    }

    /// Sends it; what is answered.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ForgeError> {
        self.http.json(call).await
    }

    /// The same, where "not found" means that there is none.
    pub(super) async fn ask_if_there<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<Option<T>, ForgeError> {
        let reply = self.http.send_if_there(call).await?;
        reply.map(|reply| reply.json()).transpose()
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
    ) -> Result<T, ForgeError> {
        self.ask(self.get(operation, url)).await
    }

    /// Changes something; the answer does not matter.
    pub(super) async fn change(
        &self,
        operation: &'static str,
        method: Method,
        url: Url,
        body: Value,
    ) -> Result<(), ForgeError> {
        let call = Call::new(operation, self.needs, method, url).json(body);
        self.http.send(call).await.map(drop)
    }

    /// Sends a request that may have no body; the answer does not matter.
    pub(super) async fn send(&self, call: Call) -> Result<(), ForgeError> {
        self.http.send(call).await.map(drop)
    }

    pub(super) fn call(&self, operation: &'static str, method: Method, url: Url) -> Call {
        Call::new(operation, self.needs, method, url)
    }

    /// Deletes a branch. One that is gone is as good.
    pub(super) async fn delete_branch(&self, url: Url) -> Result<(), ForgeError> {
        let call = self.call("delete the branch", Method::DELETE, url);
        self.http.send_if_there(call).await.map(drop)
    }

    /// The same where the request's body says which.
    pub(super) async fn delete_branch_by(&self, url: Url, body: Value) -> Result<(), ForgeError> {
        let call = self.call("delete the branch", Method::DELETE, url);
        self.http.send_if_there(call.json(body)).await.map(drop)
    }

    /// Opens a pull request. `refusal` reads the forge's words.
    pub(super) async fn create<T: DeserializeOwned>(
        &self,
        url: Url,
        body: Value,
        new: &CreatePullRequest,
        refusal: impl Fn(u16, &str) -> Option<Refusal>,
    ) -> Result<T, ForgeError> {
        let call = self
            .call("open the pull request", Method::POST, url)
            .json(body);
        self.http.json(call).await.map_err(|error| {
            let known = error
                .rejection()
                .and_then(|(status, words)| refusal(status, words));
            let (provider, branch) = (self.repository.provider, new.branch.clone());
            match known {
                Some(Refusal::Exists) => ForgeError::AlreadyExists { provider, branch },
                Some(Refusal::NothingToMerge) => ForgeError::NothingToMerge { provider, branch },
                None => error,
            }
        })
    }

    /// A list, page by page, at most `most` pages of it.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
        filter: &[(&str, &str)],
        paging: Paging,
        most: usize,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        let mut at = paging.first();
        for _ in 0..most {
            let place = paging.query(at);
            let place = place.iter().map(|(name, value)| (*name, value.as_str()));
            let call = self
                .get(operation, url.clone())
                .query(filter.iter().copied())
                .query(place);
            let (items, next) = paging.read(&self.http.send(call).await?, at)?;
            all.extend::<Vec<T>>(items);
            match next {
                Some(next) if next > at => at = next,
                _ => break,
            }
        }
        Ok(all)
    }

    /// That the forge does not offer something.
    pub(super) fn unsupported(&self, what: &'static str) -> ForgeError {
        ForgeError::Unsupported {
            provider: self.repository.provider,
            what,
        }
    }
}

/// Why a forge opens no pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Exists,
    NothingToMerge,
}

/// How a forge cuts lists into pages. Addresses that an answer names are never followed: we count ourselves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paging {
    /// `page` counts up, the answer is the list, and a `Link` header says whether there is more.
    Linked { size: (&'static str, &'static str) },
    /// `page` counts up; `{"values": […], "next": "…"}`.
    Next { size: (&'static str, &'static str) },
    /// `{"values": […], "isLastPage": false, "nextPageStart": 25}`.
    Start { limit: &'static str },
    /// `$skip` and `$top`; `{"value": […]}`, and a page that is not full is the last.
    Skip { top: usize },
}

impl Paging {
    fn first(self) -> u64 {
        match self {
            Self::Linked { .. } | Self::Next { .. } => 1,
            Self::Start { .. } | Self::Skip { .. } => 0,
        }
    }

    fn query(self, at: u64) -> [(&'static str, String); 2] {
        match self {
            Self::Linked { size } | Self::Next { size } => {
                [(size.0, size.1.to_owned()), ("page", at.to_string())]
            }
            Self::Start { limit } => [("limit", limit.to_owned()), ("start", at.to_string())],
            Self::Skip { top } => [("$top", top.to_string()), ("$skip", at.to_string())],
        }
    }

    /// What is on a page, and where the next begins.
    fn read<T: DeserializeOwned>(
        self,
        reply: &Reply,
        at: u64,
    ) -> Result<(Vec<T>, Option<u64>), ForgeError> {
        Ok(match self {
            Self::Linked { .. } => (reply.json()?, reply.has_next_page().then_some(at + 1)),
            Self::Next { .. } => {
                let page: BitbucketPage<T> = reply.json()?;
                (page.values, page.next.map(|_| at + 1))
            }
            Self::Start { .. } => {
                let page: BitbucketPage<T> = reply.json()?;
                (page.values, page.next_start.filter(|_| !page.is_last))
            }
            Self::Skip { top } => {
                let page: AzureList<T> = reply.json()?;
                let is_full = page.value.len() >= top;
                (page.value, is_full.then_some(at + top as u64))
            }
        })
    }
}

/// Bitbucket's pages.
#[derive(Deserialize)]
pub(super) struct BitbucketPage<T> {
    #[serde(default = "Vec::new")]
    pub(super) values: Vec<T>,
    next: Option<String>,
    #[serde(rename = "isLastPage", default)]
    is_last: bool,
    #[serde(rename = "nextPageStart")]
    next_start: Option<u64>,
}

/// Azure's lists.
#[derive(Deserialize)]
pub(super) struct AzureList<T> {
    pub(super) value: Vec<T>,
}

/// Those of one branch, newest first.
pub(super) fn of_branch(all: Vec<PullRequest>, branch: &str) -> Vec<PullRequest> {
    let mut all = all;
    all.retain(|it| it.branch == branch);
    all.sort_by_key(|it| std::cmp::Reverse(it.number));
    all
}

/// Users, and teams written as `organization/team`, by their short names.
pub(super) fn users_and_teams(names: &[String]) -> (Vec<&str>, Vec<&str>) {
    let (teams, users): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| name.contains('/'));
    let teams = teams.into_iter().filter_map(|team| team.rsplit('/').next());
    (users, teams.collect())
}

/// A title where "draft" is a prefix of it.
pub(super) fn draft_title(prefix: &str, is_draft: bool, title: &str) -> String {
    format!("{}{title}", if is_draft { prefix } else { "" })
}

impl Update {
    /// The fields of a request, under the forge's names; what stays is left out.
    pub(super) fn fields(&self, title: &str, body: &str) -> Value {
        let fields = [(title, &self.title), (body, &self.body)];
        let given = fields
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        Value::Object(given.collect::<Map<_, _>>())
    }

    /// The same where "draft" is a prefix of the title.
    pub(super) fn with_draft_prefix(&self, prefix: &str, is_draft: bool) -> Self {
        let title = self.title.as_ref();
        Self {
            title: title.map(|title| draft_title(prefix, is_draft, title)),
            body: self.body.clone(),
        }
    }
}

impl CreatePullRequest {
    /// What was made of it.
    pub(super) fn made(
        &self,
        number: u64,
        url: String,
        commit: Option<String>,
        handle: String,
    ) -> PullRequest {
        PullRequest {
            number: PullRequestNumber(number),
            url,
            branch: self.branch.clone(),
            base: self.base.clone(),
            commit,
            state: PullRequestState::Open,
            title: self.title.clone(),
            body: self.body.clone(),
            draft: self.draft,
            handle,
        }
    }
}

/// Adds a field to a request where there is something to say.
pub(super) fn add_field(body: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
        fields.insert(name.to_owned(), value);
    }
}

/// A list as a field, if it has anything in it.
pub(super) fn unless_empty<T: serde::Serialize>(items: &[T]) -> Option<Value> {
    (!items.is_empty()).then(|| json!(items))
}

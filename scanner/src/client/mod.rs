//! The client of registries: connections, authentication, and the few calls of the distribution API we need.

mod challenge;
mod link;
mod list_page;

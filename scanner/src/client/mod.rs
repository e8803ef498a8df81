//! The client of registries: connections, authentication, and the few calls of the distribution API we need.
//!
//! From the outside in: [`listing`], [`catalog`] and [`manifests`] know the API, [`session`] authenticates (with [`challenge`],
//! [`realm`] and [`token`]), [`exchange`] makes one request within its [budget](crate::budget), and [`connections`]
//! keeps the connections. [`guard`] and [`redaction`] see to it that nothing goes where it must not.

pub(crate) mod catalog;
mod challenge;
mod connections;
mod error_body;
mod exchange;
mod failure;
pub(crate) mod foreign_bytes;
mod guard;
mod host;
mod link;
mod list_page;
pub(crate) mod listing;
pub(crate) mod manifests;
mod realm;
mod redaction;
pub(crate) mod session;
mod token;

use crate::budget::queue::Budgets;
use crate::settings::ScannerOptions;
use crate::sync::lock;
use connections::Connections;
use host::Hosts;
use std::sync::{Arc, Mutex};

/// All registries: what is shared by all requests.
#[derive(Debug)]
pub(crate) struct Registries {
    /// Whoever asks takes what holds at its beginning.
    options: Mutex<Arc<ScannerOptions>>,
    pub(crate) budgets: Budgets,
    connections: Connections,
    hosts: Hosts,
}

impl Registries {
    pub(crate) fn new(options: ScannerOptions) -> Self {
        Self {
            connections: Connections::new(&options),
            options: Mutex::new(Arc::new(options)),
            budgets: Budgets::default(),
            hosts: Hosts::default(),
        }
    }

    /// What holds now.
    pub(crate) fn options(&self) -> Arc<ScannerOptions> {
        Arc::clone(&lock(&self.options))
    }

    /// What holds for every conversation that begins from now on. Clock and resolver stay.
    pub(crate) fn set_options(&self, options: ScannerOptions) {
        let mut current = lock(&self.options);
        let (clock, names) = (Arc::clone(&current.clock), Arc::clone(&current.names));
        *current = Arc::new(ScannerOptions {
            names,
            clock,
            ..options
        });
    }
}

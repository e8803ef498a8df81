//! Budgets: how many requests a registry gets from us, and when.
//!
//! One budget per registry host and credential (and per proxy an object brings itself), for every request. [`state`]
//! decides, as a pure function of the time passed in, with governor's limiter as its [`bucket`]; [`queue`] lets requests
//! wait their turn, fairly between tenants; [`headers`] reads what registries say about their limits.

mod bucket;
pub(crate) mod headers;
pub(crate) mod queue;
pub(crate) mod state;

pub use queue::{BudgetName, BudgetStatus, Priority};
pub use state::BudgetLimits;

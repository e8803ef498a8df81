//! One module per command: its flags, what it does, how it prints its result.

pub(crate) mod ad_hoc;
pub(crate) mod check;
pub(crate) mod completion;
mod input;
pub(crate) mod reconcile;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod select;
pub(crate) mod store;
mod suggest;
mod tag_list;
pub(crate) mod tags;
pub(crate) mod update;
pub(crate) mod version;

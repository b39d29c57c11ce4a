//! The accounts and regions that are read: one set of clients and one pace for each,
//! whoever reads there.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Account, AccountSpec};
use crate::clock::Clock;

/// Every account and region that somebody reads. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Accounts(Arc<watch::Sender<BTreeMap<AccountSpec, Arc<Account>>>>);

impl Accounts {
    /// The account of `spec`, made if nobody has asked for it before.
    pub fn get(&self, spec: &AccountSpec, clock: &Clock) -> Arc<Account> {
        let mut out = None;
        self.0.send_if_modified(|known| {
            let before = known.len();
            let account =
                known.entry(spec.clone()).or_insert_with(|| Arc::new(Account::new(spec.clone(), clock.clone())));
            out = Some(Arc::clone(account));
            known.len() > before
        });
        out.unwrap_or_else(|| Arc::new(Account::new(spec.clone(), clock.clone())))
    }

    /// Those that there are, and those that come.
    pub fn follow(&self) -> watch::Receiver<BTreeMap<AccountSpec, Arc<Account>>> {
        self.0.subscribe()
    }
}

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
        let mut made = Arc::new(Account::new(spec.clone(), clock.clone()));
        self.0.send_if_modified(|known| {
            if let Some(account) = known.get(spec) {
                made = Arc::clone(account);
                return false;
            }
            known.insert(spec.clone(), Arc::clone(&made));
            true
        });
        made
    }

    /// Those that there are, and those that come.
    pub fn follow(&self) -> watch::Receiver<BTreeMap<AccountSpec, Arc<Account>>> {
        self.0.subscribe()
    }
}

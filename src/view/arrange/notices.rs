//! The order of the lists of notices and of pools.

use super::rows::Rows;
use super::{Listed, in_scope, never, select};
use crate::app::table::TableState;
use crate::domain::{Health, Labels, ObjectId};
use crate::store::notices::{NoticeRow, PoolRow};
use crate::view::columns::{Context, POOLS, SPOT};

impl Listed for NoticeRow {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    fn health(&self, _: Context<'_>) -> Health {
        NoticeRow::health(self)
    }
}

impl Listed for PoolRow {
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn labels(&self) -> Option<&Labels> {
        None
    }
    fn health(&self, _: Context<'_>) -> Health {
        if self.pool.open + self.leaning > 0 { Health::Warning } else { Health::Ok }
    }
}

/// Fills `table.notices`, `order` and `total`.
pub(super) fn arrange(table: &mut TableState, c: Context<'_>) {
    table.notices.clone_from(&c.store.board(c.now).rows);
    if table.history {
        table.notices.extend(c.store.remembered());
    }
    let rows = Rows::of(&table.notices);
    let chosen = select(table, SPOT, rows, Some(&|r| in_scope(&r.id, &table.scope)), (c, &never));
    chosen.fill(table);
}

/// Fills `table.pools`, `order` and `total`.
pub(super) fn pools(table: &mut TableState, c: Context<'_>) {
    table.pools = c.store.pool_board(c.now).rows();
    let chosen = select(table, POOLS, Rows::of(&table.pools), None, (c, &never));
    chosen.fill(table);
}

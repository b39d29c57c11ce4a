//! The views of notices and pools.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use support::fleet::Desk;
use support::spot::taken_fleet;

#[test]
fn look() {
    for keys in ["0", "0 d", "0 j v", "0 H", "0 p", "1", "2", "3", "4", "6", "0 p d"] {
        for (w, h) in [(80, 24), (120, 40)] {
            let mut desk = Desk::new(taken_fleet());
            desk.press(keys);
            println!("=== {keys} {w}x{h}\n{}", desk.frame(w, h));
        }
    }
}

//! How long a run will take, as far as can be known before it.

use std::time::Duration;

use super::Route;

/// How long a run will take, and what that is based on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// By this route.
    pub route: Route,
    /// So long.
    pub time: Duration,
    /// What was assumed of the server.
    pub basis: &'static str,
}

/// Estimates a run of so many rows by each route. Servers do not tell their pace: these are Synapse's
/// defaults, on one core, without other work.
pub fn estimate(rows: usize) -> [Estimate; 4] {
    Route::ALL.map(|route| {
        let (milliseconds_a_row, basis) = match route {
            Route::Admin | Route::SharedSecret => (
                270,
                "no limit, and a password hash of 0.27 s on one core: bcrypt with 12 rounds",
            ),
            Route::Token => (
                5_883,
                "Synapse's default limit of 0.17 registrations a second from one address",
            ),
            Route::Appservice => (10, "no limit and no password: a hundred a second"),
        };
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        Estimate {
            route,
            time: Duration::from_millis(milliseconds_a_row).saturating_mul(rows),
            basis,
        }
    })
}

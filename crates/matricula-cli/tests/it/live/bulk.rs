//! The accounts of lists, on real servers.

use std::{env, time::Duration};

use crate::{admin::administrator, bulk, command::Home, site::Site};

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn by_an_administrator() {
    bulk::a_list_is_made_by_an_administrator(Site::live);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn by_the_shared_secret_and_by_token() {
    bulk::other_routes_make_lists_too(Site::live);
}

/// `MATRICULA_BULK=3000x50` is the long run: so many rows, and so many kills.
#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn killed_over_and_over() {
    let wanted = env::var("MATRICULA_BULK").unwrap_or_else(|_| "150x5".to_owned());
    let (rows, kills) = wanted.split_once('x').unwrap();
    let (site, home) = (Site::live("closed"), Home::new());
    administrator(&site, &home);
    let pause = Duration::from_millis(350);
    let (rows, kills) = (rows.parse().unwrap(), kills.parse().unwrap());
    bulk::killed_over_and_over(&site, &home, rows, kills, pause);
}

/// The server lets ten accounts through, and then five a second.
#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn at_the_pace_of_the_server() {
    let site = Site::live("token+paced");
    bulk::at_the_pace_of_the_server(&site, 200);
}

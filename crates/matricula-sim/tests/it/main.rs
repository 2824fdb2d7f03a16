//! Tests of the simulator: the scheduler keeps its promises, and what is checked is seen.

mod faults;
mod promises;
mod shrinking;
mod sqlite;

//! Tests of the scheduler by simulation, and of the simulator.

mod faults;
mod invariants;
mod shrink;
mod sqlite;

//! Tests of `rotation-local` as a user runs it.

mod bench;
mod conformance;
mod demo;
mod migrate;
mod model;
mod page;
mod policies;
mod random;
mod rotate;
mod sam;
mod seeds;
mod serve;
mod state;

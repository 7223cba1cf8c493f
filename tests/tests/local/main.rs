//! `rotation-local` as a person uses it.

mod conformance;
mod model;
mod random;
mod rotate;
mod seeds;
mod serve;

//! `rotation-local` as a person uses it.

mod model;
mod rotate;
mod seeds;
mod serve;

//! Tests of the fake servers with programs and recordings that this project did not write
//! (`make fidelity`).

mod clients;
mod recordings;

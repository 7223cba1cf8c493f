//! Tests of `rotation-local` as a user runs it.

mod api_model;
mod aws_cli;
mod bench;
mod command_line;
mod conformance;
mod demo;
mod migrate;
mod model_based;
mod policies;
mod rotate;
mod sam;
mod serve;
mod state;
mod web_page;

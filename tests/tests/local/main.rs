//! Tests of `rotation-local` as a user runs it.

mod api_model;
mod aws_cli;
mod aws_functions;
mod bench;
mod conformance;
mod demo;
mod documented_commands;
mod migrate;
mod model_based;
mod own_database;
mod policies;
mod rotate;
mod sam;
mod serve;
mod serve_safety;
mod state;
mod web_page;

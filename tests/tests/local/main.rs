//! Tests of `rotation-local` as a user runs it.

mod api_model;
mod aws_cli;
mod bench;
mod clients;
mod conformance;
mod cross_account;
mod demo;
mod migrate;
mod model_based;
mod operations;
mod policies;
mod raw;
mod replicas;
mod rotate;
mod sam;
mod serve;
mod state;
mod web_page;

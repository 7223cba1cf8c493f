//! Tests of `rotation-local` as a user runs it.

mod api_model;
mod applications;
mod aws_cli;
mod bench;
mod conformance;
mod demo;
mod deploy_page;
mod migrate;
mod model_based;
mod policies;
mod rotate;
mod sam;
mod serve;
mod state;
mod terraform;
mod web_page;

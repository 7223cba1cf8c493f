//! Tests of `rotation-local` as a user runs it.

mod api_model;
mod applications;
mod aws_cli;
mod aws_functions;
mod bench;
mod clients;
mod command_line;
mod conformance;
mod cross_account;
mod demo;
mod deploy_page;
mod documented_commands;
mod migrate;
mod model_based;
mod operations;
mod own_database;
mod policies;
mod raw;
mod replicas;
mod rotate;
mod sam;
mod serve;
mod serve_safety;
mod state;
mod terraform;
mod web_page;

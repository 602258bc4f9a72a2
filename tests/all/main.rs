//! The one integration binary.

#![expect(clippy::print_stdout, reason = "tests tell what they skip and how many cases agree")]

mod admission;
mod advise;
mod api;
mod autoscalers;
mod bad_input;
mod callers;
mod catalogue;
mod cloud;
mod command_line;
mod commands;
mod conformance;
mod controllers;
mod daemon_sets;
mod disruption;
mod drain;
mod experiment;
mod explain;
mod gallery;
mod generators;
mod golden;
mod house;
mod jobs;
mod karpenter;
mod kubesbs;
mod manifest_files;
mod named_metrics;
mod network;
mod placement;
mod real_manifests;
mod real_traffic;
mod replication_controllers;
mod rules;
mod scheduler;
mod scheduler_config;
mod scripted;
mod stateful_sets;
mod support;
mod swarm;
mod theory;
mod tidy;
mod traffic;
mod trial;
mod vertical;
mod volumes;

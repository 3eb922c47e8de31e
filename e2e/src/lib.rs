//! The test world of ecs-operator: a real control plane, AWS servers that we did not write, a proxy
//! that records AWS calls, and the operator as a process.

pub mod api_model;
pub mod assets;
pub mod aws_proxy;
pub mod aws_server;
pub mod bench;
pub mod chaos;
pub mod chart;
pub mod control_plane;
pub mod corpus;
pub mod demo;
pub mod docker_engine;
pub mod faults;
pub mod gate;
pub mod gitops;
pub mod installation;
pub mod interruption;
pub mod kube_proxy;
pub mod kubectl;
pub mod merge_keys;
pub mod operator;
pub mod playground;
pub mod process;
pub mod recorder;
pub mod reference;
pub mod rights;
pub mod samples;
pub mod simulation;
pub mod simulator;
pub mod wait;
pub mod world;

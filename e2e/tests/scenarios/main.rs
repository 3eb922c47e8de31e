//! End-to-end scenarios: a real kube-apiserver, an AWS server that we did not write, the operator
//! as a process.
//!
//! One world for all, started before the first scenario and stopped after the last. Each scenario
//! has a namespace, an AWS account, an AWS proxy and an operator of its own, and they run side by
//! side.

mod autoscaling;
mod basics;
mod capacity;
mod chart;
mod commands;
mod corpus;
mod crash;
mod deletion;
mod docs;
mod drift;
mod ecr_repository;
mod faults;
mod gitops;
mod guard_rails;
mod guarded_names;
mod hints;
mod iam;
mod installation;
mod kstatus;
mod leader;
mod ownership;
mod policies;
mod restart;
mod revisions;
mod rollout;
mod schema;
mod second_server;
mod simulated;
#[path = "../../../crds/tests/table/mod.rs"]
mod table;
mod tasks;
mod trouble;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use e2e::aws_server::Kind;
use e2e::control_plane::is_cluster_given;
use e2e::rights;
use e2e::world::World;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// Trials from paths of async functions that take the world.
macro_rules! scenarios {
    ($world:expr, $runtime:expr, $($module:ident::$name:ident),* $(,)?) => {
        vec![$({
            let (world, runtime) = (Arc::clone($world), $runtime.handle().clone());
            Trial::test(concat!(stringify!($module), "::", stringify!($name)), move || {
                runtime.block_on(world.interruption.stops($module::$name(&world))).map_err(|error| Failed::from(format!("{error:#}")))
            })
        }),*]
    };
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Scenarios wait most of the time.
    arguments.test_threads.get_or_insert(8);
    let runtime = Runtime::new()?;
    let dir = tempfile::Builder::new()
        .prefix("ecs-operator-e2e-")
        .tempdir()?;
    let world = Arc::new(runtime.block_on(World::start(Kind::Ministack, dir.path()))?);
    let conclusion = libtest_mimic::run(&arguments, trials(&world, &runtime));
    let mut world = Arc::into_inner(world).expect("no scenario runs any more");
    runtime.block_on(world.stop())?;
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty();
    // A part of them uses a part of the rights.
    let fits = !is_whole || conclusion.has_failed() || rights_fit(&world)?;
    if conclusion.has_failed() || !fits {
        println!("logs: {}", dir.keep().display());
    }
    Ok(if fits {
        conclusion.exit_code()
    } else {
        ExitCode::FAILURE
    })
}

#[allow(clippy::too_many_lines, reason = "one line for each scenario")]
fn trials(world: &Arc<World>, runtime: &Runtime) -> Vec<Trial> {
    let mut trials = scenarios![
        world,
        runtime,
        basics::three_objects_become_ready_and_stay_quiet,
        basics::a_new_image_rolls_the_service_to_exactly_that_revision,
        basics::the_same_manifests_applied_again_change_nothing,
        basics::tags_follow_the_spec_and_foreign_tags_stay,
        basics::kubectl_explains_prints_and_waits,
        corpus::real_documents_reach_aws_whole,
        corpus::samples_become_ready,
        basics::kubectl_scales_restarts_and_asks_for_a_look,
        basics::resets_members_that_the_spec_drops,
        chart::generated_files_of_the_chart_are_current,
        chart::every_set_of_values_is_taken_by_the_api_server_and_by_the_operator,
        chart::wrong_values_are_refused_by_name,
        chart::a_network_policy_without_ports_lets_nothing_out,
        chart::a_digest_decides_which_image_runs,
        chart::gitops_manifests_of_the_operator_fit_the_chart,
        chart::a_release_goes_to_one_replica_and_back,
        chart::pods_fit_the_restricted_profile,
        chart::rights_in_some_namespaces_are_enough,
        chart::alerts_and_dashboard_show_metrics_that_there_are,
        chart::prometheus_takes_what_is_for_it,
        commands::nonsense_is_refused_with_words_and_changes_nothing,
        commands::a_rollback_by_command_stays_until_the_spec_changes,
        commands::a_number_of_tasks_that_is_somebody_elses_stays,
        corpus::samples_are_admitted_and_reach_aws_whole,
        deletion::objects_go_in_every_order,
        deletion::many_go_at_once_in_every_order_of_one_file,
        deletion::a_task_definition_goes_as_soon_as_a_service_elsewhere_has_left_it,
        deletion::revisions_of_others_do_not_block,
        deletion::a_cluster_waits_for_what_others_run_in_it,
        deletion::a_blocked_deletion_keeps_serving_references,
        deletion::retained_objects_stay_in_aws,
        deletion::deletion_of_missing_objects_succeeds,
        deletion::a_namespace_goes_with_all_that_is_in_it,
        deletion::an_unreachable_aws_keeps_the_finalizer_and_tells_the_way_out,
        docs::the_quick_start_goes_as_written,
        docs::every_command_and_manifest_of_the_other_pages_goes_well,
        drift::changes_behind_our_back_are_repaired,
        drift::recreates_objects_deleted_in_aws,
        gitops::the_actions_of_argo_cd_do_what_they_say,
        gitops::a_deployment_that_waits_can_go_on_or_stop_by_action,
        gitops::kustomize_reaches_images_counts_and_references,
        guard_rails::refuse_with_words,
        guard_rails::admit_everything_else,
        guard_rails::let_earlier_objects_be_annotated_and_deleted,
        guarded_names::deny_what_is_not_listed,
        hints::events_have_changes_found_without_regular_looks,
        hints::a_lost_queue_is_told_and_found_again,
        iam::the_policy_is_enough_and_none_of_it_is_never_used,
        installation::missing_definitions_and_rights_are_named,
        installation::a_taken_port_and_a_wrong_flag_end_the_operator_with_words,
        kstatus::every_row_of_the_state_map_is_what_kubernetes_tools_expect,
        kstatus::every_state_of_the_conditions_has_its_judgement,
        kstatus::records_every_status_until_ready,
        leader::a_paused_leader_writes_nothing_and_ends,
        leader::a_leader_renews_its_lease_and_stays,
        leader::a_standby_goes_on_where_the_leader_was_killed,
        leader::a_leader_releases_its_lease_at_shutdown,
        leader::without_rights_on_leases_it_says_which_it_needs,
        ownership::unowned_objects_are_unchanged_until_adopted,
        ownership::two_namespaces_may_use_the_same_names_for_different_things,
        ownership::one_of_two_concurrent_objects_gets_the_name,
        ownership::adopts_running_services_without_a_restart,
        ownership::handed_over_services_keep_running,
        ownership::objects_restored_from_git_find_what_is_theirs,
        policies::observe_writes_nothing_and_lists_pending_changes,
        policies::a_suspended_object_waits_and_resumes,
        policies::protected_objects_cannot_be_deleted,
        policies::a_namespace_uses_the_clusters_that_it_may_use,
        policies::ignored_fields_are_not_repaired,
        restart::a_lost_reply_and_a_kill_make_no_second_service,
        restart::a_lost_reply_and_a_kill_make_no_second_revision,
        restart::a_lost_reply_to_an_update_makes_no_second_revision,
        restart::a_lost_reply_to_a_restart_makes_no_second_one,
        restart::a_restarted_operator_changes_nothing,
        restart::aws_may_be_down_at_the_start,
        restart::missing_credentials_are_named_and_found_later,
        restart::sigterm_ends_the_operator_in_time,
        revisions::a_limit_holds_for_what_had_to_wait_for_its_turn,
        revisions::old_revisions_go_unless_somebody_needs_them,
        revisions::old_revisions_can_be_deleted_and_others_are_only_shown,
        rollout::a_rollout_is_followed_to_its_end,
        rollout::a_failing_rollout_is_told_and_not_tried_again_until_the_spec_changes,
        rollout::an_image_that_cannot_be_pulled_is_told_and_a_restart_tries_again,
        rollout::a_lost_task_is_told_and_replaced,
        rollout::settings_that_reach_new_tasks_only_are_told_until_a_restart,
        rollout::a_service_can_be_deleted_while_it_rolls,
        schema::the_api_server_judges_every_rule_as_we_do,
        schema::two_managers_share_lists_by_key,
        schema::a_cluster_needs_no_spec,
        second_server::moto_holds_what_we_ask_for,
        second_server::moto_keeps_capacity_providers,
        second_server::moto_scales_a_service,
        capacity::clusters_get_their_providers_when_these_are_ready,
        capacity::all_go_at_once_in_every_order,
        capacity::a_failed_creation_is_reported_and_repeated_for_a_new_spec,
        autoscaling::a_worker_scales_on_its_queue_and_sleeps_at_night,
        autoscaling::a_service_that_is_made_again_is_scaled_again,
        autoscaling::scaling_of_others_is_taken_over_by_consent_alone,
        autoscaling::real_scaling_documents_reach_aws_whole,
        tasks::a_task_ends_and_shows_its_exit_code,
        tasks::a_task_that_fails_is_tried_again_and_says_why,
        tasks::a_task_is_stopped_at_its_deadline_and_at_its_deletion,
        tasks::a_lost_reply_and_a_crash_start_no_second_task,
        tasks::a_task_without_room_waits_and_starts_what_is_missing,
        tasks::a_migration_runs_once_for_each_revision,
        tasks::a_migration_comes_before_the_rollout,
        simulated::a_canary_is_rolled_back_half_way_by_an_alarm,
        simulated::a_blue_green_deployment_waits_at_its_pause_and_continues,
        simulated::a_service_that_drains_for_two_minutes_keeps_its_object,
        simulated::a_bulk_apply_stays_within_the_published_quotas,
        ecr_repository::follows_the_spec_and_waits_for_images_at_its_deletion,
        ecr_repository::a_pushed_image_makes_a_revision_of_its_digest,
        ecr_repository::a_missing_image_is_reported_before_anything_is_registered,
        faults::without_api_server_and_aws_it_waits_and_goes_on,
        faults::watches_that_lost_their_place_start_anew,
        trouble::a_missing_reference_starts_the_service_when_it_appears,
        trouble::the_schema_refuses_with_words,
        trouble::a_service_that_does_not_fit_its_task_definition_is_told_before_aws,
        trouble::a_cycle_of_dependencies_is_told_before_aws,
        trouble::a_refusal_of_aws_is_told_once_and_mended_by_a_new_spec,
    ];
    trials.extend(crash::trials(world, runtime.handle()));
    trials.extend(iam::trials(world, runtime.handle()));
    trials.extend(faults::trials(world, runtime.handle()));
    trials
        .into_iter()
        .map(|trial| {
            if is_possible(trial.name()) {
                trial
            } else {
                trial.with_ignored_flag(true)
            }
        })
        .collect()
}

/// Whether a scenario can run here. One that cannot is reported as ignored.
fn is_possible(scenario: &str) -> bool {
    match scenario {
        "corpus::real_documents_reach_aws_whole" => corpus::real_documents().is_dir(),
        "autoscaling::real_scaling_documents_reach_aws_whole" => {
            autoscaling::real_documents().is_dir()
        }
        // They install and remove definitions, which an existing cluster needs.
        "docs::the_quick_start_goes_as_written"
        | "docs::every_command_and_manifest_of_the_other_pages_goes_well"
        | "installation::missing_definitions_and_rights_are_named" => !is_cluster_given(),
        _ => true,
    }
}

/// Whether the operators have used just what the chart grants.
fn rights_fit(world: &World) -> Result<bool> {
    let audit_log = &world.control_plane.audit_log;
    if !audit_log.exists() {
        println!("rights in Kubernetes: not compared, for the API server is somebody else's");
        return Ok(true);
    }
    let (granted, used) = (
        rights::granted(&world.installation.manifests)?,
        rights::used(audit_log)?,
    );
    for right in granted.symmetric_difference(&used) {
        println!(
            "rights in Kubernetes: {} {right:?}",
            if granted.contains(right) {
                "granted and never used:"
            } else {
                "used and not granted:"
            }
        );
    }
    println!(
        "rights in Kubernetes: {} granted, {} used",
        granted.len(),
        used.len()
    );
    Ok(granted == used)
}

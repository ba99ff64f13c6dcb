//! Who may call what: every method of the descriptors, called by every class.

use std::collections::BTreeSet;

use gavah_api::DESCRIPTOR_SET;
use gavah_server::policy;
use gavah_testkit::world::{CallerKind, World};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::peer::refused;
use crate::wire::Wire;

cases_of_any_engine! {
    every_cell_of_the_matrix_is_decided_by_the_policy,
    a_method_that_does_not_exist_is_unknown_to_every_class,
}

/// Paths of all methods that the server describes, and of those that the policy names.
fn paths() -> BTreeSet<String> {
    let sets = [
        DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths: BTreeSet<String> = policy::POLICY
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    for set in sets {
        for file in FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                for method in &service.method {
                    paths.insert(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
    }
    paths
}

async fn every_cell_of_the_matrix_is_decided_by_the_policy(world: &mut World) {
    let paths = paths();
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        let wire = Wire::of(world, kind).await;
        for path in &paths {
            let cell = format!("{} {path}", kind.class());
            let allowed = policy::allowed(path).is_some_and(|(_, who)| who.contains(&kind.class()));
            let answer = wire.send_with(path, Vec::new(), &[]).await;
            if !allowed {
                refused(
                    answer,
                    Code::PermissionDenied,
                    "METHOD_NOT_ALLOWED_FOR_CLASS",
                );
                continue;
            }
            if let Err(failure) = answer {
                assert!(
                    !matches!(
                        failure.code,
                        Code::PermissionDenied
                            | Code::Unauthenticated
                            | Code::Unimplemented
                            | Code::Internal
                            | Code::Unknown
                            | Code::Unavailable
                    ),
                    "{cell}: {failure}"
                );
                assert!(failure.trace_id.is_some(), "{cell}");
            }
        }
    }
}

async fn a_method_that_does_not_exist_is_unknown_to_every_class(world: &mut World) {
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        let wire = Wire::of(world, kind).await;
        for path in [
            "/gavah.v1.ValidationService/Guess",
            "/gavah.v1.AdminService/Open",
            "/gavah.v1.ValidationService/ValidateCode/",
            "/grpc.health.v1.Health/Stop",
            "/",
        ] {
            let answer = wire.send_with(path, Vec::new(), &[]).await;
            refused(answer, Code::Unimplemented, "METHOD_UNKNOWN");
        }
    }
}

//! Which words are taken, and how others are pointed at.

use super::{Rollout, Set, Verb, parse};

fn refused(line: &str) -> super::CommandError {
    parse(line, "default").expect_err(line)
}

#[test]
fn words_of_kubectl_are_taken() {
    let set =
        parse("kubectl set image deployment/checkout app=shop/checkout:v2 -n shop", "default");
    let set = set.expect("fine");
    let Verb::Set(Set::Image(images)) = &set.verb else { panic!("{set:?}") };
    assert_eq!(images, &[("app".to_owned(), "shop/checkout:v2".to_owned())]);
    assert_eq!((set.namespace.as_str(), set.targets.named[0].name.as_str()), ("shop", "checkout"));
    let undo = parse("rollout undo sts db --to-revision 3", "default").expect("fine");
    assert!(matches!(undo.verb, Verb::Rollout(Rollout::Undo(3))));
    assert_eq!(undo.targets.named[0].resource.name, "StatefulSet");
    for line in [
        "kubectl -n shop scale --replicas=5 deploy web",
        "kubectl rollout restart deployment",
        "kubectl delete pod web-1 --grace-period 0 --force",
        "kubectl cordon node/workers-1",
        "kubectl drain n1 n2 --ignore-daemonsets --delete-emptydir-data --force --timeout=90s",
        "kubectl taint nodes -l zone=a k=v:NoSchedule k2:NoExecute-",
        "kubectl create job manual --from=cronjob/nightly",
        "kubectl create deployment web --image=nginx -- sleep 100",
        "kubectl patch deploy web -p 'spec: {replicas: 3}'",
        "kubectl apply -f web.yaml -f db.yaml",
        "kubectl get pods -o wide",
        "kubectl rollout status deployment/web --timeout=60s",
        "kubectl delete deployments.apps,svc --all --cascade=orphan",
    ] {
        assert!(parse(line, "default").is_ok(), "{line}: {:?}", parse(line, "default"));
    }
}

#[test]
fn other_words_are_pointed_at() {
    let error = refused("kubectl scael deployment/web --replicas=1");
    assert_eq!((error.at, error.hint.as_deref()), (8..13, Some("did you mean \"scale\"?")));
    let error = refused("kubectl scale deployment/web");
    assert_eq!(error.message, "--replicas is missing");
    let error = refused("kubectl scale deployment/web --replicas=-1");
    assert_eq!(error.message, "\"-1\" is not a number of pods");
    let error = refused("kubectl set image deployment/web app");
    assert_eq!(error.message, "expected CONTAINER=IMAGE, found \"app\"");
    let error = refused("kubectl delete pod 'x");
    assert_eq!(error.message, "a quote is not closed");
    let error = refused("kubectl scale deployment/web --replica=5");
    assert_eq!(error.hint.as_deref(), Some("did you mean \"--replicas\"?"));
    let error = refused("kubectl delete pdo web-1");
    assert_eq!(error.hint.as_deref(), Some("did you mean \"pod\"?"));
    let error = refused("kubectl set imgae deployment/web a=b");
    assert_eq!(error.hint.as_deref(), Some("did you mean \"image\"?"));
    let error = refused("kubectl taint node n1 a=1:Never");
    assert!(error.stderr.ends_with("See 'kubectl taint -h' for help and examples\n"));
}

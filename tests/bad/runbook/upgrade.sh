#!/bin/bash
set -e
for i in 1 2 3; do
  kubectl scale deployment/web --replicas=$i
done
kubectl wait deployment/web --timeout=soon
kubectl wait deployment/web --for=condition=Available --timeout=soon
kubectl wait deployment/web --for=redy
kubectl wait deployment/web --for=jsonpath='{.status.conditions[0:2]}'
kubectl get pods | grep web
kubectl rollout status deployment/web --timeuot=5m
kubectl rollout status deployment/wbe
kubectl delete pod web-$ID
kubectl scale deployment/web --replicas=3 > /dev/null 2>&1 || true
kubectl wait --for=condition=Redy deployment/web
kubectl wait --for=condition=ready sts/db
kubectl apply --force-conflicts -f web.yaml
kubectl set image deployment/web *=web:v2
wget http://x
if kubectl rollout status deployment/web
  sleep 1
fi

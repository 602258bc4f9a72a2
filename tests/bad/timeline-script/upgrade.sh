#!/bin/sh
set -e
kubectl scale deployment/wbe --replicas=5   # no such Deployment
sleep soon
kubectl set image deployment/web \
  app=shop/web:v2 \
  --recrod
for i in 1 2; do
kubectl get pods | wc -l
kubectl scale deployment/web --replicas=$N
kubectl apply -f - <<EOF
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
dta: {}
EOF
kubectl apply -f -
kubectl apply -f missing.yaml

# etcd from Debian, as the members of deploy/compose.yaml: `etcd-1` to `etcd-3`, each by its host's name. They take calls
# of nodes only with a certificate of the cluster's authority, and those of each other with one of a member.
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install --yes --no-install-recommends etcd-server etcd-client \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 gleaner \
 && useradd --system --uid 10001 --gid 10001 --no-create-home gleaner \
 && mkdir -p /var/lib/etcd && chown gleaner:gleaner /var/lib/etcd && chmod 0700 /var/lib/etcd

# The keys are of this user.
USER gleaner
ENV ETCDCTL_API=3 CERTS=/etc/gleaner/certs
VOLUME /var/lib/etcd
EXPOSE 2379 2380

HEALTHCHECK --interval=2s --timeout=4s --retries=30 \
    CMD etcdctl --endpoints https://127.0.0.1:2379 --cacert "$CERTS/ca.pem" \
        --cert "$CERTS/etcd/$(hostname).pem" --key "$CERTS/etcd/$(hostname).key" endpoint health

CMD name=$(hostname) && exec etcd --name "$name" --data-dir /var/lib/etcd \
    --auto-compaction-mode revision --auto-compaction-retention 1000 --quota-backend-bytes 2147483648 \
    --listen-client-urls https://0.0.0.0:2379 --advertise-client-urls "https://$name:2379" \
    --listen-peer-urls https://0.0.0.0:2380 --initial-advertise-peer-urls "https://$name:2380" \
    --initial-cluster etcd-1=https://etcd-1:2380,etcd-2=https://etcd-2:2380,etcd-3=https://etcd-3:2380 \
    --cert-file "$CERTS/etcd/$name.pem" --key-file "$CERTS/etcd/$name.key" \
    --client-cert-auth --trusted-ca-file "$CERTS/ca.pem" \
    --peer-cert-file "$CERTS/etcd/$name.pem" --peer-key-file "$CERTS/etcd/$name.key" \
    --peer-client-cert-auth --peer-trusted-ca-file "$CERTS/ca.pem" --peer-cert-allowed-cn gleaner-etcd

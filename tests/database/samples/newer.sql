-- What later releases changed in older.sql, as in openstack/nova 33.0.2, cinder 28.0.0, magnum 21.0.0.
ALTER TABLE nova.instances ADD compute_id BIGINT; UPDATE nova.instances SET compute_id = 1 WHERE id = 1;
ALTER TABLE ironic.nodes ADD firmware_interface VARCHAR(255) DEFAULT 'no-firmware';
UPDATE cinder.volumes SET use_quota = 1; ALTER TABLE cinder.volumes MODIFY use_quota TINYINT(1) NOT NULL;
ALTER TABLE magnum.cluster_template ADD driver VARCHAR(255); UPDATE magnum.cluster_template SET driver = 'k8s_capi_helm_v1';

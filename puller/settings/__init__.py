"""What people have set up for docker, podman, skopeo and containerd, read as it is."""

"""Kubernetes: the devices of a spec on the disk, offered to the kubelet by its device plugin API."""

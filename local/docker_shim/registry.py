"""`docker push` to the local ECR: the manifest goes to ECR, the image itself stays in the store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import Any

from local.docker_shim.errors import Refused
from local.images import ImageStore, Manifest

_REPOSITORY = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+)/(?P<name>[^:@]+):(?P<tag>[\w.-]+)"
)


def push(store: ImageStore, uri: str, ecr: Any = None) -> None:
    """Registers the image tagged `uri`. Raises Refused if there is none or `uri` is no tag in ECR."""
    image_id = store.tagged(uri)
    if image_id is None:
        raise Refused(f"An image does not exist locally with the tag: {uri}")
    parts = _REPOSITORY.fullmatch(uri)
    if parts is None:
        raise Refused(f"{uri} is not in ECR; the local AWS has no other registry")
    client = ecr if ecr is not None else _ecr(parts["region"])
    manifest = _manifest(image_id, store.manifest(image_id))
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    # The same image under the same tag: pushing twice is one push.
    with contextlib.suppress(client.exceptions.ImageAlreadyExistsException):
        client.put_image(
            repositoryName=parts["name"], imageTag=parts["tag"], imageManifest=manifest, imageDigest=digest
        )
    store.publish(image_id, uri)
    store.publish(image_id, f"{parts['registry']}/{parts['name']}@{digest}")


def _ecr(region: str) -> Any:
    import boto3  # only here: most commands speak to no service, and a deployment gives a dozen

    return boto3.client("ecr", region_name=region)


def _manifest(image_id: str, manifest: Manifest) -> str:
    """An image manifest of this image. It has no layers, because there are none."""
    labels = {**manifest.labels, "local.base-image": manifest.base}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifest.media_type,
            "config": {
                "mediaType": manifest.config_media_type,
                "size": 0,
                "digest": f"sha256:{image_id}",
            },
            "layers": [],
            "annotations": labels,
        }
    )

# An optional interface endpoint for Secrets Manager.

resource "aws_security_group" "endpoint" {
  count = var.endpoint == null ? 0 : 1

  name_prefix = "${var.name}-endpoint-"
  description = "HTTPS from the rotation functions to Secrets Manager"
  vpc_id      = var.endpoint.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  count = var.endpoint == null ? 0 : length(var.security_group_ids)

  security_group_id            = aws_security_group.endpoint[0].id
  description                  = "A security group of the functions"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = var.security_group_ids[count.index]
}

resource "aws_vpc_endpoint" "secrets_manager" {
  count = var.endpoint == null ? 0 : 1

  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${local.region}.secretsmanager"
  private_dns_enabled = true
  vpc_id              = var.endpoint.vpc_id
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint[0].id]
}

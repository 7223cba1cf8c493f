data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  in_vpc = length(var.subnet_ids) > 0 && length(var.security_group_ids) > 0

  functions = {
    for id, function in var.functions : id => {
      function_name = coalesce(function.function_name, "${var.name}-${id}")
      uses_master   = endswith(id, "MasterUser")
    }
  }

  managed_policies = "arn:${data.aws_partition.current.partition}:iam::aws:policy"

  # The attribute for the name is another one since version 6 of AWS's provider.
  region = data.aws_region.current.id

  # The accounts whose secrets the functions rotate. The keys do not contain the accounts, which
  # Terraform may not know yet when it plans.
  accounts = merge(
    { own = data.aws_caller_identity.current.account_id },
    { for index, id in var.secret_account_ids : "other-${index}" => id },
  )

  settings = {
    for id, function in local.functions : id => merge(
      id == "CustomRotation" ? {} : {
        ROTATION_STRATEGY = function.uses_master ? var.master_strategy : "single-user"
      },
      # On RDS, Oracle has a TLS port only if its option group adds one.
      { TLS_MODE = startswith(id, "Oracle") ? "prefer" : "require" },
      var.assume_role_arn == null ? {} : { ASSUME_ROLE_ARN = var.assume_role_arn },
    )
  }
}

module "policies" {
  source = "./modules/policies"

  partition                  = data.aws_partition.current.partition
  region                     = local.region
  account_id                 = data.aws_caller_identity.current.account_id
  functions                  = local.functions
  in_vpc                     = local.in_vpc
  kms_key_arns               = var.kms_key_arns
  replica_kms_key_arns       = var.replica_kms_key_arns
  secret_account_ids         = var.secret_account_ids
  assume_role_arn            = var.assume_role_arn
  master_secret_arns         = var.master_secret_arns
  master_secret_tag          = var.master_secret_tag
  master_secret_kms_key_arns = var.master_secret_kms_key_arns
  deny_credentials_elsewhere = var.deny_credentials_elsewhere
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name_prefix          = "${substr(each.value.function_name, 0, 37)}-"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "RotateItsSecrets"
  role   = aws_iam_role.function[each.key].id
  policy = module.policies.documents[each.key]
}

resource "aws_iam_role_policy_attachment" "logs" {
  for_each = local.functions

  role       = aws_iam_role.function[each.key].name
  policy_arn = "${local.managed_policies}/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_iam_role_policy_attachment" "tracing" {
  for_each = var.tracing == "Active" ? local.functions : {}

  role       = aws_iam_role.function[each.key].name
  policy_arn = "${local.managed_policies}/AWSXRayDaemonWriteAccess"
}

# The logs stay if the module is removed.
resource "aws_cloudwatch_log_group" "functions" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_in_days
  kms_key_id        = var.log_kms_key_arn
  skip_destroy      = true
}

resource "aws_lambda_function" "function" {
  for_each = var.functions

  function_name     = local.functions[each.key].function_name
  description       = "Rotates secrets: ${each.key}"
  role              = aws_iam_role.function[each.key].arn
  filename          = each.value.filename
  source_code_hash  = each.value.filename == null ? null : filebase64sha256(each.value.filename)
  s3_bucket         = each.value.s3_bucket
  s3_key            = each.value.s3_key
  s3_object_version = each.value.s3_object_version
  handler           = "bootstrap"
  runtime           = "provided.al2023"
  architectures     = [var.architecture]
  memory_size       = var.memory_size
  timeout           = 30
  layers            = var.tls_ca_layer_arn == null ? [] : [var.tls_ca_layer_arn]

  environment {
    variables = merge(local.settings[each.key], each.value.environment)
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.functions.name
  }

  tracing_config {
    mode = var.tracing
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? ["once"] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = (length(var.subnet_ids) > 0) == (length(var.security_group_ids) > 0)
      error_message = "Set both subnet_ids and security_group_ids, or neither."
    }
  }

  # Lambda needs the permissions of the role when it creates the function in a VPC, or with tracing.
  depends_on = [
    aws_iam_role_policy.function,
    aws_iam_role_policy_attachment.logs,
    aws_iam_role_policy_attachment.tracing,
  ]
}

resource "aws_lambda_permission" "secrets_manager" {
  for_each = {
    for pair in setproduct(keys(local.functions), keys(local.accounts)) :
    "${pair[0]}-${pair[1]}" => { id = pair[0], account = local.accounts[pair[1]] }
  }

  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.function[each.value.id].function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = each.value.account
}

resource "aws_secretsmanager_secret_rotation" "secret" {
  for_each = var.rotations

  secret_id           = each.value.secret_id
  rotation_lambda_arn = aws_lambda_function.function[each.value.function].arn
  rotate_immediately  = each.value.rotate_immediately

  rotation_rules {
    automatically_after_days = (
      each.value.schedule_expression == null ? each.value.automatically_after_days : null
    )
    schedule_expression = each.value.schedule_expression
    duration            = each.value.duration
  }

  depends_on = [aws_lambda_permission.secrets_manager]
}

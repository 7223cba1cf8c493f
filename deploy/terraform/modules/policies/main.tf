# The statements of the roles, the same as in the SAM templates. This module has no resource, so
# that a test can evaluate it without a provider and compare the statements.

locals {
  arn             = "arn:${var.partition}:secretsmanager:${var.region}"
  lambda_arn      = "arn:${var.partition}:lambda:${var.region}:${var.account_id}"
  own_secrets     = "${local.arn}:${var.account_id}:secret:*"
  secrets_anyhow  = "${local.arn}:*:secret:*"
  rotates_others  = length(var.secret_account_ids) > 0
  read_actions    = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
  all_accounts    = concat([var.account_id], var.secret_account_ids)
  decryptable     = [for id in local.all_accounts : "arn:*:secretsmanager:*:${id}:secret:*"]
  rotated_secrets = local.rotates_others ? local.decryptable : [local.own_secrets]
  # KMS does not know the tags of secrets.
  tagged_masters     = var.master_secret_tag != null ? [local.own_secrets] : []
  decryptable_master = concat(var.master_secret_arns, local.tagged_masters)
  rotate_actions = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:ListSecretVersionIds",
  ]

  common = concat(
    [
      {
        Sid      = "MakePasswords"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetRandomPassword"]
        Resource = ["*"]
      },
    ],
    [
      for _ in var.in_vpc ? ["once"] : [] : {
        Sid    = "ReachTheDatabase"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DetachNetworkInterface",
          "ec2:DescribeSubnets",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = ["*"]
      }
    ],
    [
      for _ in length(var.kms_key_arns) > 0 ? ["once"] : [] : {
        Sid      = "DecryptTheSecrets"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arns
        Condition = {
          StringLike         = { "kms:EncryptionContext:SecretARN" = local.rotated_secrets }
          StringLikeIfExists = { "kms:EncryptionContext:SecretARN" = [local.secrets_anyhow] }
        }
      }
    ],
    [
      for _ in var.assume_role_arn != null ? ["once"] : [] : {
        Sid      = "AssumeTheRole"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = [var.assume_role_arn]
      }
    ],
    # Without a replication role, Secrets Manager replicates with the function's credentials.
    [
      for _ in length(var.replica_kms_key_arns) > 0 ? ["once"] : [] : {
        Sid       = "EncryptForReplicasInOtherAccounts"
        Effect    = "Allow"
        Action    = ["kms:Encrypt"]
        Resource  = var.replica_kms_key_arns
        Condition = { StringLike = { "kms:EncryptionContext:SecretARN" = [local.secrets_anyhow] } }
      }
    ],
  )

  master = concat(
    [
      {
        Sid      = "FindTheServerOfAMasterSecret"
        Effect   = "Allow"
        Action   = ["rds:DescribeDBInstances", "rds:DescribeDBClusters"]
        Resource = ["*"]
      },
    ],
    [
      for _ in length(var.master_secret_arns) > 0 ? ["once"] : [] : {
        Sid      = "ReadTheMasterSecret"
        Effect   = "Allow"
        Action   = local.read_actions
        Resource = var.master_secret_arns
      }
    ],
    [
      for _ in var.master_secret_tag != null ? ["once"] : [] : {
        Sid      = "ReadTheTaggedMasterSecrets"
        Effect   = "Allow"
        Action   = local.read_actions
        Resource = [local.own_secrets]
        Condition = {
          StringEquals = {
            "secretsmanager:ResourceTag/rotation-master" = [var.master_secret_tag]
          }
        }
      }
    ],
    [
      for _ in length(var.master_secret_kms_key_arns) > 0 ? ["once"] : [] : {
        Sid      = "DecryptTheMasterSecret"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.master_secret_kms_key_arns
        Condition = {
          StringLike = { "kms:EncryptionContext:SecretARN" = local.decryptable_master }
        }
      }
    ],
  )

  function_arns = {
    for id, function in var.functions :
    id => "${local.lambda_arn}:function:${function.function_name}"
  }

  own = {
    for id, arn in local.function_arns : id => concat(
      [
        {
          Sid      = "RotateItsSecrets"
          Effect   = "Allow"
          Action   = local.rotate_actions
          Resource = [local.own_secrets]
          Condition = {
            StringEquals = { "secretsmanager:resource/AllowRotationLambdaArn" = [arn] }
          }
        },
      ],
      [
        for _ in local.rotates_others ? ["once"] : [] : {
          Sid      = "RotateSecretsOfOtherAccounts"
          Effect   = "Allow"
          Action   = local.rotate_actions
          Resource = [local.secrets_anyhow]
          Condition = {
            StringEquals = {
              "aws:ResourceAccount"                            = var.secret_account_ids
              "secretsmanager:resource/AllowRotationLambdaArn" = [arn]
            }
          }
        }
      ],
      # Credentials that were stolen from the function's environment are useless elsewhere.
      [
        for _ in var.deny_credentials_elsewhere ? ["once"] : [] : {
          Sid       = "DenyCredentialsElsewhere"
          Effect    = "Deny"
          Action    = ["secretsmanager:*", "rds:*", "sts:AssumeRole"]
          Resource  = ["*"]
          Condition = { ArnNotLike = { "lambda:SourceFunctionArn" = [arn] } }
        }
      ],
      # Lambda itself needs the ec2 permissions. The function's code does not.
      [
        for _ in var.in_vpc ? ["once"] : [] : {
          Sid       = "DenyNetworkCallsOfTheCode"
          Effect    = "Deny"
          Action    = ["ec2:*"]
          Resource  = ["*"]
          Condition = { ArnLike = { "lambda:SourceFunctionArn" = [arn] } }
        }
      ],
    )
  }
}

output "documents" {
  description = "The policy document of each function's role, as JSON."
  value = {
    for id, function in var.functions : id => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        local.common,
        [for statement in local.master : statement if function.uses_master],
        local.own[id],
      )
    })
  }
}
